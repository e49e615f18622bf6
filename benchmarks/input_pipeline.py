"""How fast training images come, beside the speed of decoding alone.

    python benchmarks/input_pipeline.py                              # generated streets of 2048x1024
    python benchmarks/input_pipeline.py --dataset data/cityscapes    # a prepared data set

Each row feeds batches of one labelled image from shards, and is compared with the least that any pipeline has to do:
the same bytes (image and label, already in memory) through cv2.imdecode in one thread. Where images are stored in one
size and trained in another, it is also compared with decoding and then resizing with Pillow (bicubic, the same filter).
The process is held on one core and both sides are measured in CPU seconds, in turn, several rounds of each; the table
gives the best round of each, which other processes disturb least. The target is 0.85 of the decoding limit.
"""

import argparse
import io
import os
import pathlib
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
if CORE is not None:
    os.sched_setaffinity(0, {CORE})  # before TensorFlow counts the cores

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from msda_tf.data import manifest as manifests  # noqa: E402
from msda_tf.data import pipeline, records  # noqa: E402
from msda_tf.data.index import RecordIndex  # noqa: E402
from msda_tf.data.manifest import Manifest  # noqa: E402
from msda_tf.data.tfrecord import frame  # noqa: E402
from msda_tf.data.writing import label_maps  # noqa: E402
from msda_tf.data_prep.miniature import generate as miniature  # noqa: E402
from msda_tf.labels import CITYSCAPES_CLASSES, IGNORE  # noqa: E402

WARM_UP = 3


def street(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A generated street: RGB uint8 `[1024, 2048, 3]` and trainIds uint8 `[1024, 2048]`."""
    frame = miniature.scene("cityscapes", frame=number, height=1024)
    label = np.where(frame.kinds < len(CITYSCAPES_CLASSES), frame.kinds, IGNORE).astype(np.uint8)
    # Less noise than the miniature has: as PNG, the original's images take 2.1 MB, and so do these then.
    return cv2.GaussianBlur(frame.image, (0, 0), 0.8), label


def encode(image: np.ndarray, image_format: str, *, native: bool) -> bytes:
    """A PNG with a filter chosen for each row, as the original data sets have, or what prepare writes."""
    if image_format == "png" and native:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "png")
        return buffer.getvalue()
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if image_format == "jpeg" else []
    return cv2.imencode(f".{image_format}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)[1].tobytes()


def write(directory: pathlib.Path, frames: list, image_format: str, shrink: int) -> Manifest:
    """Writes frames as a prepared data set of one shard, stored at 1 / shrink of their size."""
    directory.mkdir()
    path = directory / "train-00000.tfrecord"
    with open(path, "wb") as file:
        for number, (image, label) in enumerate(frames):
            size = (image.shape[1] // shrink, image.shape[0] // shrink)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
            record = records.Record(
                filename=f"{number}.{image_format}",
                image=encode(image, image_format, native=shrink == 1),
                image_format=image_format,
                height=size[1],
                width=size[0],
                label=label_maps.encode(label),
            )
            file.write(frame(records.to_example(record)))
    shard = manifests.Shard(file=path.name, examples=len(frames), bytes=path.stat().st_size, sha256="0" * 64)
    split = manifests.Split(shards=(shard,), labelled=True, class_pixels=(0,) * 19, ignored_pixels=0)
    return Manifest(
        name=directory.name,
        kind="custom",
        classes=CITYSCAPES_CLASSES,
        height=size[1],
        width=size[0],
        mean_rgb=(0.0, 0.0, 0.0),
        splits={"train": split},
        training_split="train",
        evaluation_split=None,
        directory=directory,
    )


def cpu_seconds(work, count: int) -> float:
    """CPU seconds that `work` takes each time, of all threads of the process."""
    for _ in range(WARM_UP):
        work()
    start = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - start) / count


def measure(manifest: Manifest, *, size: tuple[int, int], count: int, rounds: int) -> dict[str, float]:
    """Images a CPU second of the pipeline, of decoding, and of decoding and resizing, in the best round of each."""
    index = RecordIndex(manifest.directory, manifest.splits[manifest.training_split].shards)
    stored = [records.from_example(index.read(number)) for number in range(min(count, len(index)))]
    images = [(np.frombuffer(record.image, np.uint8), np.frombuffer(record.label, np.uint8)) for record in stored]
    turn = iter(range(10**9))

    def decode():
        image, label = images[next(turn) % len(images)]
        return cv2.imdecode(image, cv2.IMREAD_COLOR), cv2.imdecode(label, cv2.IMREAD_UNCHANGED)

    def decode_and_resize():
        image, label = decode()
        Image.fromarray(image).resize(size[::-1], Image.BICUBIC)
        Image.fromarray(label).resize(size[::-1], Image.NEAREST)

    batches = pipeline.training_batches(
        manifest, labelled=True, image_size=size, batch_size=1, seed=0, stream="benchmark", parallel=1
    )
    seconds = {"pipeline": [], "decode": [], "resize": []}
    for _ in range(rounds):
        iterator = iter(batches)
        seconds["pipeline"].append(cpu_seconds(lambda iterator=iterator: next(iterator), count))
        # Its threads end with it, and shall not work on while the others are measured.
        del iterator
        time.sleep(0.3)
        seconds["decode"].append(cpu_seconds(decode, count))
        seconds["resize"].append(cpu_seconds(decode_and_resize, count))
    result = {name: 1 / min(values) for name, values in seconds.items()}
    result["megabytes"] = statistics.mean(len(image) + len(label) for image, label in images) / 1e6
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=pathlib.Path, help="folder of a prepared data set with labels")
    parser.add_argument("--count", type=int, default=24, help="images in a round (default: 24)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each (default: 7)")
    options = parser.parse_args()
    cv2.setNumThreads(1)

    print("labelled images a second and core; in brackets, the pipeline's speed as a part of it")
    print(f"{'shards':12} {'stored':>9} {'trained':>9} {'MB':>5} {'pipeline':>9} {'decode':>15} {'decode+resize':>15}")

    def row(name: str, manifest: Manifest, shrink: int) -> None:
        size = (manifest.height // shrink, manifest.width // shrink)
        found = measure(manifest, size=size, count=options.count, rounds=options.rounds)
        cells = [f"{name:12} {manifest.width:>4}x{manifest.height:<4} {size[1]:>4}x{size[0]:<4}"]
        cells += [f"{found['megabytes']:5.2f} {found['pipeline']:9.1f}"]
        for limit in ("decode", "resize")[:shrink]:
            cells += [f"{found[limit]:8.1f} ({found['pipeline'] / found[limit]:.2f})"]
        print(" ".join(cells), flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        if options.dataset:
            stored = {options.dataset.name: manifests.read(options.dataset)}
        else:
            frames = [street(number) for number in range(6)]
            cases = [("PNG", "png", 1), ("JPEG", "jpeg", 1), ("PNG, half", "png", 2), ("JPEG, half", "jpeg", 2)]
            stored = {
                name: write(pathlib.Path(temporary) / name.replace(", ", "-"), frames, image_format, shrink)
                for name, image_format, shrink in cases
            }
        for name, manifest in stored.items():
            row(name, manifest, 1)
        for name, manifest in stored.items():
            if not name.endswith("half"):
                row(name, manifest, 2)


if __name__ == "__main__":
    main()
