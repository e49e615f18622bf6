"""Sources of unequal worth on generated scenes: merges, estimates and choices, without and with the target's labels.

    python benchmarks/unequal_sources.py --output studies/unequal              # three sizes, targets and seeds
    python benchmarks/unequal_sources.py --output studies/unequal --seeds 1 --steps 500 --ratios 1,100 --targets gta5

Makes the miniature data sets, cuts the second source of every target down to its share of the first one, and trains a
run for each size, target and seed, all of whose checkpoints are kept. Interrupted, the same command goes on. See
docs/studies/unequal_sources.md.
"""

import argparse
import dataclasses
import gc
import os
import pathlib
import subprocess
import sys

from msda_tf import config as configuration
from msda_tf import files, train
from msda_tf.config import PAPER_DATASETS, TrainConfig
from msda_tf.data import manifest as manifests
from msda_tf.data import tfrecord
from msda_tf.data.manifest import Shard, Split

LARGE = 160
"""Images of the first source, and of each target's unlabelled part."""

TEST = 40
"""Labelled images of each target."""

CHECKPOINTS = 5
"""Of each run, evenly spread over its steps."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One run: the first source is `ratio` times as large as the second."""

    ratio: int
    target: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.ratio}to1-{self.target}-seed{self.seed}"

    @property
    def sources(self) -> tuple[str, str]:
        """The two others: the larger one first."""
        return tuple(name for name in PAPER_DATASETS if name != self.target)


def make_data(data: pathlib.Path) -> None:
    """Generates the three data sets, if they are not there."""
    if len(manifests.available(data)) == len(PAPER_DATASETS):
        return
    command = [sys.executable, "-m", "msda_tf", "prepare", "--dataset", "miniature", "--output", str(data)]
    subprocess.run([*command, "--train-frames", str(LARGE), "--test-frames", str(TEST)], check=True)


def cut(data: pathlib.Path, name: str, images: int, folder: pathlib.Path) -> None:
    """Makes `folder/name`: the last so many training images of `data/name`, none of which is one of its test images."""
    if (folder / name / manifests.FILE_NAME).is_file():
        return
    whole = manifests.read(data / name)
    split = whole.splits[whole.training_split]
    payloads = [payload for path in whole.shard_paths(whole.training_split) for payload in tfrecord.read(path)]
    path = folder / name / "train-00000-of-00001.tfrecord"
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        temporary.write_bytes(b"".join(map(tfrecord.frame, payloads[-images:])))
    shard = Shard(path.name, images, path.stat().st_size, files.sha256(path))
    # The counts of classes stay those of the whole set: nothing here reads them.
    splits = {"train": Split((shard,), True, split.class_pixels, split.ignored_pixels)}
    part = dataclasses.replace(whole, splits=splits, training_split="train", evaluation_split=None, class_counts=None)
    manifests.write(part, path.parent)


def case_data(case: Case, data: pathlib.Path, output: pathlib.Path) -> pathlib.Path:
    """The folder of a case's data sets."""
    folder = output / "cut" / f"{case.ratio}to1-{case.target}"
    for name, images in zip(case.sources, (LARGE, max(2, LARGE // case.ratio)), strict=True):
        cut(data, name, images, folder)
    if not (folder / case.target).exists():
        os.symlink((data / case.target).resolve(), folder / case.target, target_is_directory=True)
    return folder


def config_of(case: Case, folder: pathlib.Path, arguments: argparse.Namespace) -> TrainConfig:
    """Of a case's run."""
    settings = {
        "target": case.target,
        "sources": list(case.sources),
        "data": str(folder),
        "seed": case.seed,
        "steps": arguments.steps,
        "layout": arguments.layout,
        "scale": arguments.scale,
        "loss_at": "input",
        "checkpoint_every": max(1, arguments.steps // CHECKPOINTS),
        "keep_checkpoints": CHECKPOINTS + 1,
        "evaluate_every": 0,
    }
    return configuration.resolve(preset="tiny", settings=settings)[0]


def names(text: str) -> list[str]:
    """Separated by commas."""
    return [name.strip() for name in text.split(",")]


def main() -> None:
    """Parses, then trains what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder of data, runs and results")
    parser.add_argument("--ratios", type=lambda text: [int(name) for name in names(text)], default=[1, 10, 100])
    parser.add_argument("--targets", type=names, default=list(reversed(PAPER_DATASETS)))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--layout", default="separate")
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    import keras

    make_data(arguments.output / "data")
    cases = [
        Case(ratio, target, seed)
        for seed in range(arguments.seeds)
        for target in arguments.targets
        for ratio in arguments.ratios
    ]
    for case in cases:
        folder = case_data(case, arguments.output / "data", arguments.output)
        print(case.name, flush=True)
        train.train(config_of(case, folder, arguments), arguments.output / "runs" / case.name)
        keras.backend.clear_session()
        gc.collect()


if __name__ == "__main__":
    main()
