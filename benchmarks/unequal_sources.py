"""Sources of unequal worth: merges, estimates and choices of checkpoints, without and with the target's labels.

    python benchmarks/unequal_sources.py --output studies/unequal              # three sizes, targets and seeds
    python benchmarks/unequal_sources.py --output studies/unequal --seeds 1 --steps 500 --ratios 1,100 --targets gta5
    python benchmarks/unequal_sources.py --output studies/mine --data data --targets mine --sources a,b --preset small

Makes the miniature data sets, cuts the second source of every target down to its share of the first one, and trains a
run for each size, target and seed; or, with --data, for each target and seed of prepared data sets as they are. All
checkpoints are kept and scored: every branch and merge on the target's test images, with its labels and, by what is
known without them, as `msda-tf evaluate --unlabelled` does. Interrupted, the same command goes on; `--only-tables`
makes the tables of what is there. See docs/studies/unequal_sources.md.
"""

import argparse
import dataclasses
import gc
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from unittest import mock

import numpy as np
import tensorflow as tf

from msda_tf import config as configuration
from msda_tf import files, runs, train
from msda_tf.config import PAPER_DATASETS, TrainConfig
from msda_tf.config.branches import S_ALL, plan
from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline, tfrecord
from msda_tf.data.manifest import Shard, Split
from msda_tf.evaluation import cross_source
from msda_tf.evaluation.confusion import class_iou, confusion_matrix
from msda_tf.evaluation.cross_source import Calibration, Cell
from msda_tf.evaluation.unlabelled import Collector
from msda_tf.inference import merge
from msda_tf.inference.held_out import HeldOut, spacing
from msda_tf.inference.members import Inference
from msda_tf.inference.networks import build_segmenter, member
from msda_tf.training.checkpoints import Checkpoints

LARGE = 160
"""Images of the first source, and of each target's unlabelled part."""

TEST = 40
"""Labelled images of each target."""

CHECKPOINTS = 5
"""Of each run, evenly spread over its steps."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One run.

    Attributes:
      ratio: how much larger the first source is than the second one, which is cut down to it; None for data as it is.
      target, sources: of the run; of generated scenes the sources are the two others, the larger one first.
      seed: of its weights and order.
    """

    ratio: int | None
    target: str
    sources: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{f'{self.ratio}to1-' if self.ratio else ''}{self.target}-seed{self.seed}"


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
    """The folder of a case's data sets, made if they are generated."""
    if case.ratio is None:
        return data
    make_data(data)
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
        **({"loss_at": "input"} if case.ratio else {}),
        "checkpoint_every": max(1, arguments.steps // CHECKPOINTS),
        "keep_checkpoints": CHECKPOINTS + 1,
        "evaluate_every": 0,
        **dict(each.split("=", 1) for each in arguments.settings),
    }
    return configuration.resolve(preset=arguments.preset, settings=settings)[0]


Pixels = list[tuple[dict[str, np.ndarray], np.ndarray]]
"""Of each test image, on a grid: branch -> logits float `[P, C]`, and labels uint8 `[P]`."""


class Scorer:
    """Scores a run's checkpoints one after the other.

    Args:
      run: its directory.
    """

    def __init__(self, run: pathlib.Path):
        self.run = runs.read(run)
        config, networks = self.run.config, plan(self.run.config)
        found = {name: manifests.find(config.data, name) for name in (config.target, *config.sources)}
        self._target = found[config.target]
        self._parts = []
        for network in networks:
            segmenter = build_segmenter(config, network, len(self.run.classes), discriminators=False)
            own = {branch: branch for branch in network.branches}
            inference = Inference([member(config, segmenter, mean=self.run.mean_rgb, branches=own)])
            scorer = HeldOut(config=config, network=network, segmenter=segmenter, manifests=found)
            checkpoints = Checkpoints(self.run.folder(network).checkpoints)
            self._parts.append((checkpoints, segmenter, scorer, tf.function(inference.logits, reduce_retracing=True)))

    def steps(self) -> list[int]:
        """Of the checkpoints that every network has."""
        return sorted(set.intersection(*(set(part[0].steps()) for part in self._parts)))

    def at(self, step: int) -> tuple[dict[str, dict[str, Cell]], Pixels]:
        """The cross-source table of a checkpoint, and what its branches say of the target's test images."""
        cells: dict = {}
        pixels: Pixels = []
        for number, (checkpoints, segmenter, scorer, logits) in enumerate(self._parts):
            checkpoints.restore({"segmenter": segmenter}, step=step, left_over=_OTHERS)
            cells |= scorer.cells()
            images = pipeline.evaluation_images(self._target, self._target.evaluation_split)
            for index, example in enumerate(images):
                step_ = spacing(*example["label"].shape)
                maps = {
                    name: value[0, ::step_, ::step_].numpy().reshape(-1, value.shape[-1])
                    for name, value in logits(example["image"][None]).items()
                }
                if number == 0:
                    pixels.append(({}, example["label"].numpy()[::step_, ::step_].ravel()))
                pixels[index][0].update(maps)
        return cells, pixels


_OTHERS = re.compile(r"\w+_optimizer|segmenter/\w+_module/discriminator_.+")


def merged(logits: Mapping[str, np.ndarray], calibrations: Mapping[str, Calibration]) -> dict[str, np.ndarray]:
    """Label maps `[P]` of every branch and of every rule."""
    labels = {name: each.argmax(axis=1).astype(np.uint8) for name, each in logits.items()}
    maps = [tf.constant(each[None, None]) for each in logits.values()]
    for rule in merge.RULES:
        parts = merge.shares_of(rule, calibrations, list(logits))
        labels[rule] = merge.merge_labels(maps, rule, parts)[1].numpy().ravel()
    return labels


def score(cells: Mapping, pixels: Pixels) -> dict:
    """JSON-ready: true mean IoU of every branch and rule, and what is estimated without labels.

    For none, half and all of the step that S-All is taken to make to an unseen domain.
    """
    result: dict = {"true": {}, "rules": {}, "estimates": {}, "cells": cross_source.to_json(cells)}
    for share in (0.0, 0.5, 1.0):
        with mock.patch.object(cross_source, "STEP_SHARE", share):
            calibrations = cross_source.calibrations(cells)
        collector = Collector(calibrations, cells, list(cells))
        matrices: dict[str, np.ndarray] = {}
        for logits, truth in pixels:
            labels = merged(logits, calibrations)
            collector.add(logits, labels)
            classes = logits[S_ALL].shape[1]
            for name, predicted in labels.items():
                matrices[name] = matrices.get(name, 0) + confusion_matrix(truth, predicted, classes=classes)
        means = {name: float(np.nan_to_num(class_iou(matrix)).mean()) for name, matrix in matrices.items()}
        result["true"][str(share)] = means
        result["estimates"][str(share)] = {
            name: dataclasses.asdict(each) for name, each in collector.estimates().items()
        }
        result["rules"][str(share)] = {
            name: {"temperature": each.temperature, "nll": each.nll} for name, each in calibrations.items()
        }
    return result


def score_run(run: pathlib.Path, path: pathlib.Path) -> None:
    """Scores all checkpoints of a run into a file, if it is not there."""
    if path.is_file():
        return
    scorer = Scorer(run)
    found = {str(step): score(*scorer.at(step)) for step in scorer.steps()}
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, found)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


SHARE = "0.5"
"""The step that S-All is taken to make, in the tables that do not compare them."""

ESTIMATORS = {
    "estimate": lambda each: each["miou"],
    "consensus": lambda each: each["consensus"],
    "DoC": lambda each: each["confidence_accuracy"],
    "ATC": lambda each: each["threshold_accuracy"],
    "agreement": lambda each: each["agreement"],
    "- entropy": lambda each: -each["entropy"],
    "density (SND)": lambda each: each["density"],
}


def tables(results: Mapping[str, dict]) -> Iterator[str]:
    """Markdown of everything that the study asks.

    Args:
      results: name of a run -> step -> what `score` gave.
    """
    last = {name: found[max(found, key=int)] for name, found in results.items()}
    branches = list(next(iter(last.values()))["cells"])
    rules = list(merge.RULES)
    yield "**Mean IoU in %, last checkpoint**\n"
    yield f"| run | {' | '.join([*branches, *rules])} |\n|---|{'---:|' * (len(branches) + len(rules))}"
    rows = {name: [100 * each["true"][SHARE][column] for column in (*branches, *rules)] for name, each in last.items()}
    for name, row in {**rows, "mean": np.mean(list(rows.values()), axis=0)}.items():
        yield f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |"
    yield "\n**Against the best single branch of the run, points**\n"
    yield f"| | {' | '.join(rules)} |\n|---|{'---:|' * len(rules)}"
    gaps = np.array([np.array(row[len(branches) :]) - max(row[: len(branches)]) for row in rows.values()])
    for name, values in {"mean": gaps.mean(axis=0), "worst run": gaps.min(axis=0)}.items():
        yield f"| {name} | {' | '.join(f'{value:+.2f}' for value in values)} |"
    yield from _estimate_tables(results, branches, rules)


def _estimate_tables(results, branches, rules) -> Iterator[str]:
    yield "\n**Estimated less true mean IoU, points: mean of the absolute values over all checkpoints (mean)**\n"
    yield "| S-All's step | S1..Sn | S-All | merges |\n|---|---:|---:|---:|"
    for share in ("0.0", "0.5", "1.0"):
        cells = []
        for group in ([name for name in branches if name != S_ALL], [S_ALL], rules):
            errors = 100 * np.array([
                each["estimates"][share][name]["miou"] - each["true"][share][name]
                for found in results.values() for each in found.values() for name in group
            ])  # fmt: skip
            cells.append(f"{np.abs(errors).mean():.2f} ({errors.mean():+.2f})")
        yield f"| {share} | {' | '.join(cells)} |"
    yield "\n**Rank correlation of estimate and truth over all checkpoints**\n"
    yield "| | branches, all runs | branches, within a run | merges, all runs |\n|---|---:|---:|---:|"
    for name, value in ESTIMATORS.items():
        yield f"| {name} | {' | '.join(_correlations(results, branches, rules, value))} |"
    yield "\n**Choice of the checkpoint: points of mean IoU below the best checkpoint of the run, mean (worst)**\n"
    yield "| | by the estimate | the last |\n|---|---:|---:|"
    for rule in rules:
        regrets = np.array([_regrets(found, rule) for found in results.values()])
        yield f"| {rule} | " + " | ".join(f"{r.mean():.2f} ({r.max():.2f})" for r in regrets.T) + " |"


def _correlations(results, branches, rules, value) -> list[str]:
    def pairs(found, names):
        return [
            (value(each["estimates"][SHARE][name]), each["true"][SHARE][name])
            for each in found.values() for name in names if value(each["estimates"][SHARE][name]) is not None
        ]  # fmt: skip

    pooled = [pair for found in results.values() for pair in pairs(found, branches)]
    within = np.mean([rank_correlation(*zip(*pairs(found, branches), strict=True)) for found in results.values()])
    merges = [pair for found in results.values() for pair in pairs(found, rules)]
    cells = [f"{rank_correlation(*zip(*pooled, strict=True)):.2f}", f"{within:.2f}"]
    return [*cells, f"{rank_correlation(*zip(*merges, strict=True)):.2f}" if merges else "-"]


def _regrets(found, rule) -> tuple[float, float]:
    """(of the checkpoint with the highest estimate, of the last), points."""
    true = {int(step): 100 * each["true"][SHARE][rule] for step, each in found.items()}
    chosen = max(true, key=lambda step: found[str(step)]["estimates"][SHARE][rule]["miou"])
    return max(true.values()) - true[chosen], max(true.values()) - true[max(true)]


def names(text: str) -> list[str]:
    """Separated by commas."""
    return [name.strip() for name in text.split(",")]


def main() -> None:
    """Parses, trains and scores what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder of data, runs and results")
    parser.add_argument("--ratios", type=lambda text: [int(name) for name in names(text)], default=[1, 10, 100])
    parser.add_argument("--data", type=pathlib.Path, help="prepared data sets, taken as they are")
    parser.add_argument("--targets", type=names, default=list(reversed(PAPER_DATASETS)))
    parser.add_argument("--sources", type=names, help="with --data")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--layout", default="separate")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="of all runs")
    parser.add_argument("--only-tables", action="store_true", help="of the runs that are scored")
    arguments = parser.parse_args()
    import keras

    if (arguments.data is None) != (arguments.sources is None):
        parser.error("--data and --sources go together")
    cases = [
        Case(ratio, target, tuple(arguments.sources or (name for name in PAPER_DATASETS if name != target)), seed)
        for seed in range(arguments.seeds)
        for target in arguments.targets
        for ratio in (arguments.ratios if arguments.data is None else [None])
    ]
    scores = {case: arguments.output / "scores" / f"{case.name}.json" for case in cases}
    for case, path in () if arguments.only_tables else scores.items():
        folder = case_data(case, arguments.data or arguments.output / "data", arguments.output)
        print(case.name, flush=True)
        run = arguments.output / "runs" / case.name
        train.train(config_of(case, folder, arguments), run)
        score_run(run, path)
        keras.backend.clear_session()
        gc.collect()
    results = {case.name: json.loads(path.read_text()) for case, path in scores.items() if path.is_file()}
    text = "\n".join(tables(results)) + "\n"
    (arguments.output / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
