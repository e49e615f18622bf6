"""What fuzz cases start from: small raw data, a prepared set, results and a trained run, all of them right."""

import contextlib
import io
import json
import pathlib
import sys
import tarfile
import zipfile
from dataclasses import dataclass

import command
import cv2
import image_kinds
import numpy as np
from PIL import Image

DESCRIPTION = """name: a
splits:
  train:
    images: rgb/*.png
    labels: gt/*.png
  val:
    images: more/rgb/*.png
    labels: more/gt/*.png
training_split: train
evaluation_split: val
labels: ids
classes:
- {name: road, color: [10, 20, 30]}
- {name: car, color: [40, 50, 60]}
- {name: sky, color: [70, 80, 90]}
map: {road: [0], car: [1], sky: [2]}
ignore: [255]
"""

CLASS_MAP = """classes:
- {name: flat, color: [10, 20, 30]}
- {name: rest, color: [40, 50, 60]}
map:
  flat: [road]
  rest: [car]
ignore: [sky]
"""

POLYGONS = {
    "imgHeight": 48,
    "imgWidth": 64,
    "objects": [
        {"label": "road", "polygon": [[0, 0], [63, 0], [63, 20], [0, 20]]},
        {"label": "car", "polygon": [[5, 5], [20, 5], [20, 40]]},
    ],
}

SETTINGS = "target: b\nsources: [a]\nsteps: 2\nscale: 0.5\nsource_size: null\naspp_rates: [2, 4]\nmean: dataset\n"


@dataclass(frozen=True)
class World:
    """Folders, which cases copy from and never change.

    Attributes:
      raw: of a custom data set: the description is `c.yaml`.
      data: prepared from it: `a` and `b`.
      run: a trained and scored run; with what data does not matter.
      images: one file of every kind of PNG and JPEG, good and bad.
      other: archives, a video, a polygon file, a class map, settings.
    """

    raw: pathlib.Path
    data: pathlib.Path
    run: pathlib.Path
    images: pathlib.Path
    other: pathlib.Path


def make(folder: pathlib.Path, run: pathlib.Path) -> World:
    """Writes all but the run."""
    world = World(*(folder / name for name in ("raw", "data")), run, *(folder / name for name in ("images", "other")))
    rng = np.random.default_rng(0)
    for split in ("", "more"):
        for kind in ("rgb", "gt"):
            (world.raw / split / kind).mkdir(parents=True)
        for number in range(2):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(image).save(world.raw / split / f"rgb/{number}.png")
            label = rng.integers(0, 3, (48, 64), dtype=np.uint8)
            Image.fromarray(label).save(world.raw / split / f"gt/{number}.png")
    (world.raw / "c.yaml").write_text(DESCRIPTION)
    for name in ("a", "b"):
        code, output = quietly(
            *("prepare", "--dataset", "custom", "--config", world.raw / "c.yaml", "--raw", world.raw),
            *("--output", world.data, "--name", name, "--workers", 1),
        )
        assert code == 0, output
    world.images.mkdir()
    kinds = [data for data, _ in image_kinds.good_pngs().values()] + [*image_kinds.bad_files().values()]
    kinds += image_kinds.good_jpegs().values()
    for number, data in enumerate(kinds):
        ending = "jpg" if data.startswith(image_kinds.JPEG_START) else "png"
        (world.images / f"{number:04d}.{ending}").write_bytes(data)
    world.other.mkdir()
    (world.other / "map.yaml").write_text(CLASS_MAP)
    (world.other / "train.yaml").write_text(SETTINGS)
    (world.other / "polygons.json").write_text(json.dumps(POLYGONS))
    with zipfile.ZipFile(world.other / "a.zip", "w") as archive:
        archive.writestr("d/x.txt", "x" * 100, zipfile.ZIP_DEFLATED)
        archive.writestr("y.txt", "y" * 100)
    with tarfile.open(world.other / "a.tar.gz", "w:gz") as archive:
        archive.add(world.raw / "c.yaml", "d/c.yaml")
    video = cv2.VideoWriter(str(world.other / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(3):
        video.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    video.release()
    return world


def quietly(*arguments) -> tuple[int, str]:
    """(exit code, all that was printed) of `msda-tf ARGUMENTS` in this process."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        before, sys.stdin = sys.stdin, io.StringIO()
        try:
            code = command.exit_code(*arguments)
        finally:
            sys.stdin = before
    return code, written.getvalue().decode("utf-8", "replace")
