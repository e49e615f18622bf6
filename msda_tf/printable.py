"""Names as they may be shown: nothing of a file's, run's or server's words may act on a terminal, a log or a page."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: object) -> str:
    """One line without characters that act instead of showing: control and escape codes, marks that turn the writing.

    They are written as Python writes them: `\\x1b`, `\\n`, `\\u202e`. Bytes that are no UTF-8, which the file system
    allows in names and Python keeps as lone surrogates (PEP 383), become the bytes that they are: `\\xdf`.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
