"""Small prepared data sets for tests: coloured blocks that a tiny network can learn, without any raw data set."""

import io
import pathlib

import numpy as np
from PIL import Image

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.data import records, tfrecord
from msda_tf.labels import CITYSCAPES_CLASSES, IGNORE


def scene(rng: np.random.Generator, height: int, width: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """(image uint8 `[H, W, 3]`, label uint8 `[H, W]`): blocks of 5 classes in their palette colours plus shift."""
    coarse = rng.integers(0, 5, (height // 16 + 1, width // 16 + 1))
    label = np.kron(coarse, np.ones((16, 16), np.int64))[:height, :width].astype(np.uint8)
    image = CITYSCAPES_CLASSES.palette()[label].astype(float) + shift + rng.normal(0, 8, (height, width, 3))
    label[:2] = IGNORE
    return image.clip(0, 255).astype(np.uint8), label


def png(array: np.ndarray) -> bytes:
    """The array as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def write(
    data: pathlib.Path,
    name: str,
    *,
    size: tuple[int, int] = (65, 129),
    train: int = 6,
    test: int = 3,
    shift: float = 0.0,
    seed: int = 0,
    labelled: bool = True,
    prefix: str = "",
) -> manifests.Manifest:
    """Writes `data/name`, with `test` images in its split test, which are also part of its split train.

    The images' names begin with `prefix`.
    """
    directory = data / name
    directory.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    shards, pixels, sums = {}, {}, np.zeros(3)
    for split, count in (("test", test), ("train", train)):
        path = directory / f"{split}-00000-of-00001.tfrecord"
        counts = np.zeros(256, np.int64)
        with open(path, "wb") as file:
            for number in range(count):
                image, label = scene(rng, *size, shift)
                sums += image.mean((0, 1))
                counts += np.bincount(label.ravel(), minlength=256)
                record = records.Record(
                    filename=f"{split}/{prefix}{number:04d}.png",
                    image=png(image),
                    image_format="png",
                    height=size[0],
                    width=size[1],
                    label=png(label) if labelled else None,
                )
                file.write(tfrecord.frame(records.to_example(record)))
        shards[split] = manifests.Shard(path.name, count, path.stat().st_size, files.sha256(path))
        pixels[split] = counts

    def split(*names):
        total = sum(pixels[name] for name in names)
        return manifests.Split(
            shards=tuple(shards[name] for name in names),
            labelled=labelled,
            class_pixels=tuple(int(n) for n in total[:19]),
            ignored_pixels=int(total[255]),
        )

    manifest = manifests.Manifest(
        name=name,
        kind="custom",
        classes=CITYSCAPES_CLASSES,
        height=size[0],
        width=size[1],
        mean_rgb=tuple(sums / (train + test)),
        splits={"train": split("test", "train"), "test": split("test")},
        training_split="train",
        evaluation_split="test" if labelled else None,
    )
    manifests.write(manifest, directory)
    return manifests.read(directory)
