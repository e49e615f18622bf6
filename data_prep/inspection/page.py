"""An inspection as one HTML page that needs no other file, and as one picture."""

import base64
import html

import cv2
import numpy as np

from msda_tf.data.manifest import Manifest
from msda_tf.printable import printable

from .inspect import class_shares, labelled_split

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1e1e1e; max-width: 1900px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: .2em .9em; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
td:first-child, th:first-child { text-align: left; }
img { max-width: 100%; height: auto; }
.swatch { display: inline-block; width: .9em; height: .9em; margin-right: .5em; border: 1px solid #999; }
.odd { background: #fff6e0; border-left: 4px solid #e08e45; padding: .3em 1em; }
"""


def page(
    manifest: Manifest,
    *,
    others: list[Manifest],
    oddities: list[str],
    histogram: np.ndarray | None,
    sheet: np.ndarray,
    sheet_split: str,
) -> str:
    """The HTML text.

    Args:
      manifest: the inspected data set.
      others: the data sets that it is compared with.
      oddities: sentences that are put first.
      histogram, sheet: uint8 `[H, W, 3]` RGB.
      sheet_split: the split that the contact sheet shows.
    """
    parts = [f"<h1>{_shown(manifest.name)}</h1>", f"<p>{_shown(str(manifest.directory))}</p>"]
    if oddities:
        items = "".join(f"<li>{_shown(sentence)}</li>" for sentence in oddities)
        parts.append(f'<div class="odd"><ul>{items}</ul></div>')
    parts += ["<h2>Splits</h2>", _splits(manifest), "<h2>Data set</h2>", _facts(manifest)]
    if histogram is not None:
        parts += ["<h2>Classes</h2>", _image(histogram, "share of each class"), _classes(manifest, others)]
    parts += [f"<h2>Images of split {_shown(sheet_split)}</h2>", _image(sheet, "images with their labels")]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{_shown(manifest.name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def picture(histogram: np.ndarray | None, sheet: np.ndarray) -> np.ndarray:
    """Histogram above contact sheet: uint8 `[H, W, 3]` RGB."""
    shown = [each for each in (histogram, sheet) if each is not None]
    width = max(each.shape[1] for each in shown)
    padded = [
        np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0)), constant_values=255)
        if each.shape[1] < width
        else each
        for each in shown
    ]
    return np.concatenate(padded)


def splits_table(manifest: Manifest) -> list[tuple[str, ...]]:
    """Rows of name, images, labels, MB, ignored pixels and use, one per split, as text."""
    rows = []
    for name, split in manifest.splits.items():
        uses = {"training": manifest.training_split, "evaluation": manifest.evaluation_split}
        pixels = split.ignored_pixels + sum(split.class_pixels)
        rows.append(
            (
                name,
                f"{split.examples}",
                "yes" if split.labelled else "no",
                f"{len(split.shards)}",
                f"{sum(shard.bytes for shard in split.shards) / 1e6:.1f}",
                f"{split.ignored_pixels / pixels:.1%}" if pixels else "-",
                ", ".join(use for use, of in uses.items() if of == name),
            )
        )
    return rows


SPLITS_HEADER = ("split", "images", "labels", "shards", "MB", "ignored pixels", "used for")


def _shown(text: str) -> str:
    return html.escape(printable(text))


def _splits(manifest: Manifest) -> str:
    return _table(SPLITS_HEADER, [[_shown(cell) for cell in row] for row in splits_table(manifest)])


def _facts(manifest: Manifest) -> str:
    sizes = manifest.options.get("sizes") or {f"{manifest.width}x{manifest.height}": "all"}
    facts = {
        "converter": manifest.kind,
        "mean RGB of the training images": ", ".join(f"{value:.2f}" for value in manifest.mean_rgb),
        "image sizes": ", ".join(f"{size} ({count})" for size, count in list(sizes.items())[:8])
        + (f" and {len(sizes) - 8} more" if len(sizes) > 8 else ""),
    }
    facts |= {key: str(value) for key, value in manifest.options.items() if key not in ("sizes", "class_rules")}
    return _table(("", ""), [[_shown(key), _shown(value)] for key, value in facts.items()])


def _classes(manifest: Manifest, others: list[Manifest]) -> str:
    compared = [manifest, *others]
    shares = [class_shares(each.splits[labelled_split(each)]) for each in compared]
    rows = []
    for index, (name, color) in enumerate(zip(manifest.classes.names, manifest.classes.colors, strict=True)):
        swatch = f'<span class="swatch" style="background: rgb{tuple(color)}"></span>'
        cells = [f"{share[index]:.3%}" if share[index] else "none" for share in shares]
        pixels = manifest.splits[labelled_split(manifest)].class_pixels[index]
        rows.append([f"{swatch}{index} {_shown(name)}", f"{pixels}", *cells])
    return _table(("class", "pixels", *(_shown(each.name) for each in compared)), rows)


def _table(header: tuple[str, ...], rows: list[list[str]]) -> str:
    """Header and cells are HTML already."""
    lines = ["".join(f"<th>{cell}</th>" for cell in header)] if any(header) else []
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>\n" for line in lines) + "</table>"


def _image(image: np.ndarray, alternative: str) -> str:
    encoded = base64.b64encode(cv2.imencode(".png", image[..., ::-1])[1]).decode()
    return f'<p><img alt="{alternative}" src="data:image/png;base64,{encoded}"></p>'
