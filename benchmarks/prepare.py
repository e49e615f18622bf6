"""How near `msda-tf prepare` comes to what its decoders and encoders need alone.

    python benchmarks/prepare.py                                    # made frames of GTA5's size
    python benchmarks/prepare.py --raw ~/cityscapes --dataset cityscapes

Prints images per second of processor time ("per core") of the whole conversion (reading, checking, decoding,
remapping, encoding, statistics, checksums, writing to disk) with one worker and with all cores, beside the sum of the
bare OpenCV and Pillow calls on the same bytes in memory: image decode, channel sums, label decode, remap, label
encode. Processor time is what a busy machine does not blur; the wall-clock rates stand beside it.
"""

import argparse
import io
import pathlib
import shutil
import tempfile
import time

import cv2
import numpy as np
from PIL import Image

from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.readers import cityscapes, gta5, synthia

FINDERS = {"gta5": gta5.find, "synthia": synthia.find, "cityscapes": cityscapes.find}


def make_gta5(root: pathlib.Path, frames: int, height: int = 1052, width: int = 1914) -> None:
    """Frames whose files have about the size of GTA5's (2 MB images, 40 kB labels)."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(1, frames + 1):
        smooth = cv2.resize(
            rng.integers(0, 256, (20, 36, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
        )
        noise = cv2.GaussianBlur(rng.normal(0, 7, smooth.shape).astype(np.float32), (3, 3), 0)
        pixels = np.clip(smooth + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"images/{number:05d}.png")
        ids = rng.choice(np.array([7, 8, 11, 21, 23, 26], np.uint8), (height // 20 + 1, width // 20 + 1))
        label = Image.fromarray(cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)).convert("P")
        label.putpalette(bytes(768))
        label.save(root / f"labels/{number:05d}.png")


class Clock:
    """Seconds since it was made: of the wall, and of this process on all processors."""

    def __init__(self):
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """(wall, processor)."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def bare(images: list[bytes], labels: list[bytes]) -> tuple[float, float]:
    """Seconds for the library calls alone."""
    table = np.arange(256, dtype=np.uint8)
    clock = Clock()
    for image, label in zip(images, labels, strict=True):
        cv2.sumElems(cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR))
        if label[24] == 16:  # bit depth: SYNTHIA's labels, which Pillow cannot read
            pixels = cv2.imdecode(np.frombuffer(label, np.uint8), cv2.IMREAD_UNCHANGED)
            ids = cv2.extractChannel(pixels, 2).astype(np.uint8)
        else:
            ids = np.asarray(Image.open(io.BytesIO(label)))
        cv2.imencode(".png", cv2.LUT(ids, table), [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE])
    return clock.read()


def whole(raw, output: pathlib.Path, workers: int) -> tuple[float, float]:
    """Seconds for the whole conversion."""
    shutil.rmtree(output, ignore_errors=True)
    clock = Clock()
    convert.prepare(raw, output=output, name="benchmark", workers=workers)
    return clock.read()


def main() -> None:
    """Runs the rounds in turn, so that whatever else the machine does hits all of them alike; takes the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=FINDERS, default="gta5")
    parser.add_argument("--raw", type=pathlib.Path, help="default: made frames")
    parser.add_argument("--frames", type=int, default=48, help="how many to make")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cores = convert.cores()
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.raw or pathlib.Path(folder, "raw")
        if arguments.raw is None:
            make_gta5(root, arguments.frames)
        raw = FINDERS[arguments.dataset](root)
        frames = [frame for frame in raw.frames if frame.label]
        if len(frames) < len(raw.frames):
            parser.error(f"{root} has unlabelled splits, which would blur the comparison")
        images = [frame.image.read_bytes() for frame in frames]
        labels = [frame.label.read_bytes() for frame in frames]
        cv2.setNumThreads(1)  # "per core" is to mean that; the conversion's own threads are counted by workers
        times = {"bare library calls": [], "prepare, 1 worker": [], f"prepare, {cores} workers": []}
        for _ in range(arguments.rounds):
            for kind, seconds in zip(
                times,
                (
                    bare(images, labels),
                    whole(raw, pathlib.Path(folder, "out"), 1),
                    whole(raw, pathlib.Path(folder, "out"), cores),
                ),
                strict=True,
            ):
                times[kind].append(seconds)
    size = sum(map(len, images)) / len(images) / 1e6
    print(f"{len(frames)} pairs, images of {size:.2f} MB, medians of {arguments.rounds} rounds")
    print(f"{'':24}{'images/s per core':>20}{'of bare':>10}{'images/s by the wall clock':>30}")
    reference = None
    for kind, seconds in times.items():
        wall, processor = np.median(seconds, axis=0)
        reference = reference or processor
        rate = len(frames) / processor
        print(f"{kind:24}{rate:20.1f}{reference / processor:10.2f}{len(frames) / wall:30.1f}")


if __name__ == "__main__":
    main()
