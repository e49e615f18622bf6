"""How fast training images come, beside the speed of decoding alone.

    python benchmarks/input_pipeline.py                              # street-like frames of 2048x1024, made on the spot
    python benchmarks/input_pipeline.py --dataset data/cityscapes    # a prepared data set

Each row feeds batches of one labelled image from shards, and is compared with the least that any pipeline has to do:
the same bytes (image and label, already in memory) through cv2.imdecode in one thread. Where images are stored in one
size and trained in another, it is also compared with decoding and then resizing with Pillow (bicubic, the same filter).
The process is held on one core and both sides are measured in CPU seconds, in turn, several rounds of each; the table
gives medians. The target is 0.85 of the decoding limit.
"""

import argparse
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
from msda_tf.data_prep import label_images  # noqa: E402
from msda_tf.labels import CITYSCAPES_CLASSES  # noqa: E402

WARM_UP = 3


def street(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture that compresses like a photograph of a street (2.2 MB as PNG at 2048x1024), and its label map.

    Returns:
      BGR uint8 `[height, width, 3]` and trainIds uint8 `[height, width]`.
    """
    label = np.full((height, width), 10, np.uint8)
    label[height // 2 :] = 0
    for _ in range(60):
        x, y = rng.integers(0, width), rng.integers(height // 4, height)
        half = (rng.integers(width // 100, width // 12), rng.integers(height // 40, height // 6))
        outline = cv2.ellipse2Poly((int(x), int(y)), tuple(map(int, half)), int(rng.integers(360)), 0, 360, 5)
        cv2.fillPoly(label, [outline + rng.integers(-4, 5, outline.shape)], int(rng.integers(19)))
    colors = rng.integers(20, 200, (256, 3)).astype(np.float32)[label]
    texture = cv2.resize(rng.normal(0, 12, (height // 8, width // 8)).astype(np.float32), (width, height))
    noise = rng.normal(0, 1.3, (height, width, 3)).astype(np.float32)
    image = cv2.GaussianBlur(colors, (0, 0), 1.5) + texture[..., None] + noise
    return np.clip(image, 0, 255).astype(np.uint8), label


def write(directory: pathlib.Path, frames: list, image_format: str, shrink: int) -> Manifest:
    """Writes frames as a prepared data set of one shard, stored at 1 / shrink of their size."""
    directory.mkdir()
    path = directory / "train-00000.tfrecord"
    with open(path, "wb") as file:
        for number, (image, label) in enumerate(frames):
            size = (image.shape[1] // shrink, image.shape[0] // shrink)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
            options = [cv2.IMWRITE_JPEG_QUALITY, 95] if image_format == "jpeg" else []
            record = records.Record(
                filename=f"{number}.{image_format}",
                image=cv2.imencode(f".{image_format}", image, options)[1].tobytes(),
                image_format=image_format,
                height=size[1],
                width=size[0],
                label=label_images.encode(label),
            )
            file.write(frame(records.to_example(record)))
    shard = manifests.Shard(file=path.name, examples=len(frames), bytes=path.stat().st_size, sha256="")
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
    """Medians over the rounds: images a CPU second of each side, and the pipeline's speed as a part of the others'."""
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
    ours, *limits = (np.array(values) for values in seconds.values())
    median = statistics.median
    result = {name: 1 / median(values) for name, values in seconds.items()}
    result |= {f"of {name}": median(limit / ours) for name, limit in zip(["decode", "resize"], limits, strict=True)}
    result["megabytes"] = statistics.mean(len(image) + len(label) for image, label in images) / 1e6
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=pathlib.Path, help="folder of a prepared data set with labels")
    parser.add_argument("--count", type=int, default=24, help="images in a round (default: 24)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default: 5)")
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
            cells += [f"{found[limit]:8.1f} ({found[f'of {limit}']:.2f})"]
        print(" ".join(cells), flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        if options.dataset:
            stored = {options.dataset.name: manifests.read(options.dataset)}
        else:
            rng = np.random.default_rng(0)
            frames = [street(rng, 1024, 2048) for _ in range(6)]
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
