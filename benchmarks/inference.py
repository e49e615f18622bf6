"""Evaluation and prediction beside the network alone: what reading, counting and writing cost them.

    python benchmarks/inference.py
    python benchmarks/inference.py --preset small --size 1280x720 --format jpeg --threads 1

Draws streets of the miniature, writes them as shards and as image files, and makes the networks of layout `joint` with
random weights (S1, S2, S-All: what they cost does not depend on weights). Then, in turns:

- network: the function that evaluation runs, on one image after the other that lies in memory,
- evaluate: the loop of `msda-tf evaluate`: shards read and decoded, label maps of all branches and their merge counted,
- segment: the function that prediction runs, on images in memory,
- predict: the loop of `msda-tf predict`: files read, decoded and hashed; labels, colours and overlays written as PNG,
- evaluate's rest, predict's rest: the same loops with the true label maps in place of the network.

The table gives medians over the rounds: images a second by the clock, CPU milliseconds of all threads an image, both
against the network alone, and the share of the time in which the network's thread waited for images or for results to
be taken. Where the network uses all cores, reading and writing take their time from it: then no overlap can be better
than the CPU column.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import tempfile
import time

from msda_tf.cli import quiet

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
quiet.use_onednn()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from msda_tf import config as configuration  # noqa: E402
from msda_tf.config.branches import MAX_MERGE, plan  # noqa: E402
from msda_tf.data import manifest as manifests  # noqa: E402
from msda_tf.data import pipeline, records  # noqa: E402
from msda_tf.data.corrupt import CorruptRecords  # noqa: E402
from msda_tf.data.manifest import Manifest  # noqa: E402
from msda_tf.data.tfrecord import frame  # noqa: E402
from msda_tf.data.writing import label_maps as label_files  # noqa: E402
from msda_tf.data_prep.miniature import generate as miniature  # noqa: E402
from msda_tf.image_files.headers import MAX_PIXELS  # noqa: E402
from msda_tf.inference import scoring  # noqa: E402
from msda_tf.inference.members import Inference  # noqa: E402
from msda_tf.inference.networks import build_segmenter, member  # noqa: E402
from msda_tf.labels import CITYSCAPES_CLASSES, IGNORE  # noqa: E402
from msda_tf.predict import segment_function  # noqa: E402
from msda_tf.prediction.image_files import segment_files  # noqa: E402
from msda_tf.prediction.results import DEFAULT_KINDS  # noqa: E402


def draw(folder: pathlib.Path, *, size: tuple[int, int], count: int, image_format: str) -> tuple[Manifest, list, list]:
    """Streets of (width, height) as a prepared data set and as files below `folder`; their images and true label maps,
    uint8 `[1, H, W, 3]` and `[1, H, W]`."""
    width, height = size
    (folder / "images").mkdir()
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if image_format == "jpeg" else []
    images, labels, path = [], [], folder / "test-00000.tfrecord"
    with open(path, "wb") as file:
        for number in range(count):
            scene = miniature.scene("cityscapes", frame=number, split="val", height=height)
            # Less noise than the miniature has, so that files are as large as those of cameras.
            image = cv2.resize(cv2.GaussianBlur(scene.image, (0, 0), 0.8), size)
            label = np.where(scene.kinds < len(CITYSCAPES_CLASSES), scene.kinds, IGNORE).astype(np.uint8)
            label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
            encoded = cv2.imencode(f".{image_format}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()
            name = f"{number:04d}.{image_format}"
            (folder / "images" / name).write_bytes(encoded)
            record = records.Record(name, encoded, image_format, height, width, label_files.encode(label))
            file.write(frame(records.to_example(record)))
            images.append(tf.constant(image[None]))
            labels.append(tf.constant(label[None]))
    shard = manifests.Shard(file=path.name, examples=count, bytes=path.stat().st_size, sha256="0" * 64)
    split = manifests.Split(shards=(shard,), labelled=True, class_pixels=(0,) * 19, ignored_pixels=0)
    manifest = Manifest(
        name="streets", kind="custom", classes=CITYSCAPES_CLASSES, height=height, width=width, mean_rgb=(0, 0, 0),
        splits={"test": split}, training_split="test", evaluation_split="test", directory=folder,
    )  # fmt: skip
    return manifest, images, labels


class Timed:
    """A function of images that is timed, from its call until its maps are there.

    Args:
      function: of images.
      answers: what is given for the maps, one after the other, instead of the function's: those of random weights are
        noise, and take longer to write than any network's.

    Attributes:
      seconds: spent in it so far.
    """

    def __init__(self, function, answers: list[dict] | None = None):
        self._function, self._answers, self.seconds = function, itertools.cycle(answers or [None]), 0.0

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        start = time.perf_counter()
        maps = self._function(images)
        for value in maps.values():
            value.numpy()
        self.seconds += time.perf_counter() - start
        return next(self._answers) or maps


def measure(work, network: Timed, count: int) -> dict[str, float]:
    """Seconds by the clock, CPU seconds, and the share of waiting, of work on `count` images."""
    network.seconds = 0.0
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return {"clock": clock / count, "cpu": cpu / count, "waiting": 1 - network.seconds / clock}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preset", default="tiny", choices=["tiny", "small", "paper"], help="whose networks (default: tiny)"
    )
    parser.add_argument("--size", default="1024x512", help="of the images (default: 1024x512)")
    parser.add_argument("--format", default="png", choices=["png", "jpeg"], help="of the images (default: png)")
    parser.add_argument("--images", type=int, default=16, help="in a round (default: 16)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--threads", type=int, default=0, help="of the network (default: as many as cores)")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    settings = {"target": "cityscapes", "layout": "joint", "init": "none", "merge": "max-logit"}
    config, _ = configuration.resolve(preset=options.preset, settings=settings)
    (network,) = plan(config)
    segmenter = build_segmenter(config, network, len(CITYSCAPES_CLASSES), discriminators=False)
    branches = {branch: branch for branch in network.branches}
    inference = Inference([member(config, segmenter, mean=(0.0, 0.0, 0.0), branches=branches)])
    label_maps = Timed(tf.function(inference.label_maps, reduce_retracing=True))

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        size = tuple(map(int, options.size.split("x")))
        manifest, images, labels = draw(folder, size=size, count=options.images, image_format=options.format)
        segment = Timed(segment_function(inference), [{"labels": label} for label in labels])
        names = [pathlib.PurePath(path.name) for path in sorted((folder / "images").iterdir())]
        paths = {
            name: {kind: folder / kind / f"{name.stem}.png" for kind in DEFAULT_KINDS} for name in names
        }  # fmt: skip

        def evaluate(label_maps):
            corrupt = CorruptRecords(limit=0)
            examples = pipeline.evaluation_images(manifest, "test", corrupt=corrupt)
            scoring.score(label_maps, examples, classes=len(CITYSCAPES_CLASSES), corrupt=corrupt)

        def predict(segment):
            failed = segment_files(
                paths,
                root=folder / "images",
                segment=segment,
                classes=CITYSCAPES_CLASSES,
                max_pixels=MAX_PIXELS,
                on_result=lambda image, digest: None,
            )
            assert not failed

        maps_of = [dict.fromkeys([*network.branches, MAX_MERGE], label) for label in labels]
        at_once = Timed(lambda images: {}, maps_of), Timed(lambda images: {}, [{"labels": label} for label in labels])
        works = {
            "network": (lambda: [label_maps(image) for image in images], label_maps),
            "evaluate": (lambda: evaluate(label_maps), label_maps),
            "segment": (lambda: [segment(image) for image in images], segment),
            "predict": (lambda: predict(segment), segment),
            "evaluate's rest": (lambda: evaluate(at_once[0]), at_once[0]),
            "predict's rest": (lambda: predict(at_once[1]), at_once[1]),
        }
        found = {name: [] for name in works}
        for number in range(1 + options.rounds):
            for name, (work, timed) in works.items():
                one = measure(work, timed, options.images)
                if number:  # the first round traces
                    found[name].append(one)

    threads = options.threads or os.cpu_count()
    print(f"{options.preset}, {options.size} {options.format}, {threads} thread(s), {options.rounds} rounds")
    print("| | images/s | against the network | CPU ms an image | against the network | waiting |")
    print("|---|---|---|---|---|---|")
    for name in works:
        alone = {"evaluate": "network", "predict": "segment"}.get(name)
        median = {key: statistics.median(each[key] for each in found[name]) for key in found[name][0]}
        row = [name, f"{1 / median['clock']:.2f}", "", f"{1000 * median['cpu']:.0f}", "", ""]
        if alone:
            pairs = list(zip(found[alone], found[name], strict=True))
            for place, key in ((2, "clock"), (4, "cpu")):
                row[place] = f"{statistics.median(bare[key] / whole[key] for bare, whole in pairs):.2f}"
            row[5] = f"{100 * median['waiting']:.0f} %"
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
