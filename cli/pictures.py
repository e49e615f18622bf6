"""Pictures on the terminal itself, where it can show them: kitty's protocol (kitty, Ghostty, WezTerm) or sixel (iTerm2,
foot, xterm, Windows Terminal)."""

import pathlib
import sys


def show(path: pathlib.Path) -> bool:
    """Draws a PNG as wide as the terminal; gives whether it could."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return False
    # Asks the terminal what it can do, and must not ask a file.
    from textual_image.renderable import Image, SixelImage, TGPImage

    if Image not in (SixelImage, TGPImage):
        return False
    from .terminal import console

    console().print(Image(path, width="auto", height="auto"))
    return True
