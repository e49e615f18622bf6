"""Runs at URLs: in which order their files are sent, and which are brought for what.

A run there is worked on in a folder here (`msda_tf.remote.mirror`). Whoever looks at it meanwhile never takes what is
half sent for whole: a checkpoint's files come before the checkpoint.json that names them, and run.json comes last.
"""

import json
import pathlib
import re
from collections.abc import Callable

from msda_tf import files
from msda_tf.errors import UsageError
from msda_tf.remote import cache, filesystem
from msda_tf.remote.mirror import WHOLE, Choose, Mirror
from msda_tf.training import checkpoint_files

_CHECKPOINT = re.compile(r"((?:.*/)?checkpoints/)step-([0-9]{8})/.*")

_RANKS = {
    "progress.json": 2,
    "metrics.json": 2,
    "estimate.json": 2,
    "cross_source.json": 2,
    "results.json": 2,
    "config.yaml": 3,
    "run.json": WHOLE,
    "stylize.json": WHOLE,
}

_MARKS = {"run.json", "stylize.json"}

_EVENTS = "events.out.tfevents."


def mirror(url: str, *, on_wait: Callable[[str], None] = lambda holder: None) -> Mirror:
    """Of a run, or of a folder of runs, and the folder of this machine that stands for it."""
    place = cache.place(filesystem.check(url))
    return Mirror(place, order=order, decisive=decisive, record=place.here.parent / "known", on_wait=on_wait)


def order(name: str) -> tuple[int, str]:
    """Of a file of a run, or of a folder of runs: see `msda_tf.remote.mirror.Mirror`. Checkpoints come one by one."""
    folder, _, file = name.rpartition("/")
    if _checkpoint(name):
        return 1, f"{folder}/{'~' if file == checkpoint_files.INFO else ''}{file}"
    return _RANKS.get(file, 0), name


def decisive(name: str) -> bool:
    """Whether a file tells which of two copies of a run is the newer one: which run it is, and how far it came."""
    return name.rpartition("/")[2] in (*_MARKS, "progress.json")


def to_go_on(url: str) -> Choose:
    """All of a run at a URL that is whole: what training goes on from.

    It raises UsageError if there is something else, unless a run that is here was not sent yet.
    """
    here = cache.here(url)

    def choose(names: list[str], read: Callable[[str], bytes]) -> list[str]:
        begun = _is_run(names) or any((here / name).is_file() for name in _MARKS)
        if names and not begun and not all(order(name)[0] in (2, 3) for name in names):
            raise UsageError(
                f"{url} is not empty and holds no run: choose another folder with --run, or, if it was one, bring its "
                "run.json back"
            )
        return whole(names)

    return choose


def _is_run(names: list[str]) -> bool:
    return not _MARKS.isdisjoint(names)


def whole(names: list[str]) -> list[str]:
    """Files of runs without those of checkpoints that are half sent."""
    there = {_checkpoint(name) for name in names if name.endswith(f"/{checkpoint_files.INFO}")}
    return [name for name in names if _checkpoint(name) in (None, *there)]


def to_use(names: list[str], read: Callable[[str], bytes]) -> list[str]:
    """What scoring, predicting and exporting need: of the checkpoints the newest, and those that it says are best."""
    if not _is_run(names):
        return []  # whatever it is, it may be large
    names = [name for name in whole(names) if _EVENTS not in name]
    steps: dict[str, set[int]] = {}
    for folder, step in filter(None, map(_checkpoint, names)):
        steps.setdefault(folder, set()).add(step)
    wanted = {(folder, step) for folder, found in steps.items() for step in _used(folder, found, read)}
    return [name for name in names if _checkpoint(name) in (None, *wanted)]


def to_list(names: list[str]) -> list[str]:
    """What tells how far runs are."""
    return [name for name in names if name.endswith((".json", ".jsonl", ".yaml"))]


def bring(folder: str | pathlib.Path, choose: Choose = to_use) -> pathlib.Path:
    """The folder of a run here; of a URL, what is chosen of it is brought."""
    if not files.is_url(str(folder)):
        return pathlib.Path(folder)
    found = mirror(str(folder))
    found.bring(choose)
    return found.place.here


def _checkpoint(name: str) -> tuple[str, int] | None:
    """(folder of checkpoints, step) that a file is of."""
    match = _CHECKPOINT.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def _used(folder: str, steps: set[int], read: Callable[[str], bytes]) -> set[int]:
    newest = max(steps)
    try:
        info = json.loads(read(f"{folder}step-{newest:08d}/{checkpoint_files.INFO}"))
        chosen = {newest, info["best"], info.get("unlabelled")}
    except (ValueError, TypeError, KeyError, AttributeError):
        return steps  # damaged, or of an earlier version: an older one may have to stand in
    return chosen & steps
