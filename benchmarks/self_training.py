"""What does self-training gain over adversarial training, at equal steps and at equal time, and what of it pays?

    python benchmarks/self_training.py FOLDER --data data --target mine --sources a,b --steps 400
    python benchmarks/self_training.py FOLDER --data data-miniature --target cityscapes --preset tiny --rows main
    python benchmarks/self_training.py FOLDER ... --rows adversarial,self-training --equal-time
    python benchmarks/self_training.py FOLDER ... --start 400 --rows main

Trains each row on one thread with layout joint, so that one network gives S-All and Max Merge (with --set
layout=sources in less time, but without S-All), and scores the last checkpoint on the target's labels. With --start, a
seed's rows but the oracle go on from one network that was trained for so many steps without adaptation; the oracle is
trained for both numbers of steps. With --equal-time every row has the CPU time that the adversarial one takes for
--steps, measured as the process's own, which other programs do not stretch as they do seconds. Everything is kept in
FOLDER, with the table in results.md; started again, it goes on where it stopped.
"""

import argparse
import json
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

from msda_tf import files
from msda_tf.config import TrainConfig, resolve
from msda_tf.config.branches import MAX_MERGE, NO_ADAPT, S_ALL
from msda_tf.config.presets import PRESETS
from msda_tf.data import manifest as manifests
from msda_tf.evaluate import evaluate
from msda_tf.experiment import oracle
from msda_tf.train import train

_PARTS_OF_RECIPE = (
    "ema_decay", "pseudo_threshold", "pseudo_weight", "pseudo_floor", "masked", "mask_ratio", "mask_block"
)  # fmt: skip
RECIPE = {key: PRESETS["self-training-small"][key] for key in _PARTS_OF_RECIPE}
"""What the preset for small machines adds to the published recipes; the rows of any preset have it."""

SELF = {"method": "self-training", **RECIPE}
MAIN = {
    "no-adapt": {"method": "supervised"},
    "adversarial": {"method": "adversarial"},
    "self-training": SELF,
    "both": {**SELF, "method": "adversarial+self-training"},
    "oracle": {"method": "supervised"},
}
"""Row -> its settings; the oracle's source is the target with its labels."""

_UNMASKED, _CONTEXT, _NO_FLOOR = {"masked": False}, {"pseudo_context": 0.75}, {"pseudo_floor": 0.0}
_BY_CLASS = {"pseudo_weight": "class", "pseudo_threshold": 0.8}
PARTS = {
    "dacs": {**SELF, **_UNMASKED, **_NO_FLOOR, "pseudo_weight": "share", "pseudo_threshold": 0.968},
    "share": {**SELF, "pseudo_weight": "share"},
    "class-thresholds": {**SELF, **_BY_CLASS},
    "high-threshold": {**SELF, "pseudo_threshold": 0.9},
    "no-floor": {**SELF, **_NO_FLOOR},
    "class-thresholds-no-floor": {**SELF, **_BY_CLASS, **_NO_FLOOR},
    "unmasked": {**SELF, **_UNMASKED},
    "context": {**SELF, **_CONTEXT},
    "unmasked-context": {**SELF, **_UNMASKED, **_CONTEXT},
    "context-no-floor": {**SELF, **_CONTEXT, **_NO_FLOOR},
    "context-both": {**SELF, **_CONTEXT, "method": "adversarial+self-training"},
    "hidden": {**SELF, "mask_ratio": 0.7},
    "max-logit-labels": {**SELF, "pseudo_merge": "max-logit"},
    "class-weighted-labels": {**SELF, "pseudo_merge": "class-weighted-probability"},
    "rare-classes": {**SELF, "source_images": "rare-classes", "rare_min_pixels": 100},
    "late-teacher": {**SELF, "self_training_start": "half"},
    "batch-classes": {**SELF, "classmix_classes": "batch"},
    "no-strong": {**SELF, "colour_jitter": 0.0, "blur": False},
    "adversarial-first": SELF,
}
"""One change of self-training each, or DACS's own; adversarial-first starts from the weights of the row adversarial."""

ROWS = MAIN | PARTS | {"start": MAIN["no-adapt"]}


class Study:
    """The rows of one target.

    Args:
      arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.folder, self.preset, self.steps = arguments.folder, arguments.preset, arguments.steps
        self.target, self.data = arguments.target, arguments.data
        self.settings = dict(each.split("=", 1) for each in arguments.settings)
        self.sources, self.start = arguments.sources and arguments.sources.split(","), arguments.start

    def config(self, row: str, **fixed) -> TrainConfig:
        """Of a row."""
        settings = {"data": self.data, "target": self.target, "layout": "joint", "evaluate_every": 0, **ROWS[row]}
        if self.sources:
            settings["sources"] = self.sources
        if self.start and row not in ("oracle", "start"):
            settings["init"] = str(self._run("start", fixed["seed"]))
        if row == "oracle":
            labelled = oracle.link(pathlib.Path(self.data), self.target, self.folder / oracle.FOLDER)
            settings |= {"data": str(self.folder / oracle.FOLDER), "sources": [labelled.name]}
        if row == "adversarial-first":
            settings["init"] = str(self._run("adversarial", fixed["seed"]))
        if settings.get("self_training_start") == "half":
            settings["self_training_start"] = fixed["steps"] // 2
        settings = settings | self.settings | fixed | {"checkpoint_every": min(50, fixed["steps"])}
        return resolve(preset=self.preset, settings=settings, refuse_unread=False)[0]

    def seconds_of_a_step(self, row: str) -> float | None:
        """CPU seconds, measured in the row's first training; None before it."""
        kept = self.folder / f"clock-{row}.json"
        return json.loads(kept.read_text()) if kept.exists() else None

    def _run(self, name: str, seed: int) -> pathlib.Path:
        return self.folder / f"{name}-{seed}"

    def _train_start(self, seed: int) -> None:
        """Once: later commands may change what only other rows read."""
        done = self.folder / f"start-{seed}.json"
        if not done.exists():
            train(self.config("start", steps=self.start, seed=seed), self._run("start", seed))
            files.write_json(done, {"steps": self.start})

    def scores(self, row: str, seed: int, steps: int, name: str) -> dict:
        """`metrics.json` of a run, which is trained and scored if it is not."""
        folder = self._run(name, seed)
        metrics = folder / "metrics.json"
        if not metrics.exists():
            if self.start:
                self._train_start(seed)
            clock = {}

            def look(network, step, steps, headline):
                clock[step] = time.process_time()

            train(self.config(row, steps=steps, seed=seed), folder, on_progress=look)
            first, last = min(clock, default=0), max(clock, default=0)
            if self.seconds_of_a_step(row) is None and last > first:
                files.write_json(self.folder / f"clock-{row}.json", (clock[last] - clock[first]) / (last - first))
            data = str(self.folder / oracle.FOLDER) if row == "oracle" else None
            evaluate([folder], data=data)
        return json.loads(metrics.read_text())


def table(rows: dict[str, tuple[float, int, list[dict]]], classes: list[str]) -> str:
    """Markdown: mean over seeds (and its deviation) of S-All and Max Merge, and Max Merge's IoU of each class.

    Means are over the classes that the target's labels show: a class that they lack can only score 0.
    """
    first = next(iter(rows.values()))[2][0]["branches"]  # all of them are scored on the same labels
    pixels = [sum(row) for row in next(iter(first.values()))["confusion"]]
    shown = [name for name, count in zip(classes, pixels, strict=True) if count]
    header = ["", "CPU s a step", "steps", S_ALL, MAX_MERGE, *shown]
    lines = [f"| {' | '.join(header)} |", f"|---{'|---:' * (len(header) - 1)}|"]
    for name, (seconds, steps, found) in rows.items():
        pooled = [_mean(own, shown) for m in found for n, own in m["branches"].items() if n in (S_ALL, NO_ADAPT)]
        merged = [m["branches"].get(MAX_MERGE) or list(m["branches"].values())[-1] for m in found]  # or one branch
        ious = [statistics.mean(_mean(own, [c]) for own in merged) for c in shown]
        cells = [name, f"{seconds:.2f}", str(steps), _spread(pooled), _spread([_mean(own, shown) for own in merged])]
        lines.append(f"| {' | '.join([*cells, *(f'{iou:.1f}' for iou in ious)])} |")
    return "\n".join(lines) + "\n"


def _mean(scores: dict, classes: list[str]) -> float:
    return statistics.mean(100 * (scores["iou"][c] or 0) for c in classes)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--data", default="data")
    parser.add_argument("--target", required=True)
    parser.add_argument("--sources")
    parser.add_argument("--preset", default="self-training-small")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, metavar="STEPS", help="without adaptation, before every row")
    parser.add_argument("--rows", default="all", help="main, all, or names with commas between them")
    parser.add_argument("--equal-time", action="store_true")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    study = Study(arguments)
    names = {"main": list(MAIN), "all": list(MAIN | PARTS)}.get(arguments.rows) or arguments.rows.split(",")
    classes = list(manifests.find(arguments.data, arguments.target).classes.names)
    rows = {}
    for seed in range(arguments.seeds):
        for row in names:
            steps, name = arguments.steps, row
            if arguments.equal_time:
                own, allowed = study.seconds_of_a_step(row), study.seconds_of_a_step("adversarial")
                if own is None or allowed is None:
                    parser.error(f"--equal-time needs the times of adversarial and {row}: run it without, first")
                steps, name = round(steps * allowed / own), f"{row}-equal-time"
            steps += study.start if row == "oracle" else 0
            scores = study.scores(row, seed, steps, name)
            rows.setdefault(name, (study.seconds_of_a_step(row) or 0.0, steps, []))[2].append(scores)
            text = table(rows, classes)
            with files.replacing(arguments.folder / f"results{'-time' * arguments.equal_time}.md") as temporary:
                temporary.write_text(text, encoding="utf-8")
            print(text, flush=True)


if __name__ == "__main__":
    main()
