"""Several prepared data sets beside one another: which classes each shows, and whether they can train together."""

import pathlib

import yaml

from msda_tf import files
from msda_tf.data.manifest import Manifest
from msda_tf.errors import UsageError

from ..labels import class_map
from .inspect import class_shares, labelled_split, listed


def shares(manifest: Manifest) -> dict[str, float] | None:
    """Class -> its share of the labelled pixels, 0 for one that never shows; None without labels."""
    split = labelled_split(manifest)
    if split is None:
        return None
    return dict(zip(manifest.classes.names, class_shares(manifest.splits[split]).tolist(), strict=True))


def table(manifests: list[Manifest]) -> list[list[str]]:
    """Rows of text: a class and its share in each data set; "none" where it never shows, "-" where it is no class."""
    found = [shares(each) for each in manifests]
    names = dict.fromkeys(name for each in manifests for name in each.classes.names)

    def cell(manifest: Manifest, share: dict[str, float] | None, name: str) -> str:
        if name not in manifest.classes.names:
            return "-"
        if share is None:
            return "?"
        return _percent(share[name]) if share[name] else "none"

    rows = [[name, *(cell(*each, name) for each in zip(manifests, found, strict=True))] for name in names]
    rows.append(["no class", *(_ignored(each) for each in manifests)])
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.3f} %" if 0 < share < 0.001 else f"{100 * share:.2f} %"


def _ignored(manifest: Manifest) -> str:
    split = labelled_split(manifest)
    if split is None:
        return "?"
    ignored, counted = manifest.splits[split].ignored_pixels, sum(manifest.splits[split].class_pixels)
    return _percent(ignored / max(1, ignored + counted))


def sentences(manifests: list[Manifest], targets: list[Manifest]) -> list[str]:
    """What stands in the way of training on them together, and what no source teaches.

    Args:
      targets: those of `manifests` that are adapted to; none: every data set without labels is one.
    """
    targets = targets or [each for each in manifests if labelled_split(each) is None]
    sources = [each for each in manifests if each not in targets]
    found = []
    lists = {each.classes.names: each.name for each in reversed(manifests)}
    if len(lists) > 1:
        sizes = " and ".join(f"{len(names)} ({name})" for names, name in sorted(lists.items(), key=lambda i: len(i[0])))
        fitting = class_map.fitting_lists(each.classes for each in manifests)
        way = f"--classes {listed(fitting)}" if fitting else "--class-map FILE"
        found.append(f"Their lists of classes differ: {sizes} classes. To train together, prepare them on one: {way}.")
    taught = {name for each in sources for name, share in (shares(each) or {}).items() if share}
    for target in targets:
        own = shares(target)
        untaught = [name for name in target.classes.names if name not in taught and (own is None or own[name])]
        if untaught:
            pixels = f", {_percent(sum(own[name] for name in untaught))} of its pixels" if own else ""
            found.append(f"No source teaches {listed(untaught)}, which {target.name} has{pixels}.")
    if not targets:
        found += _sole_and_absent(manifests, taught)
    return found


def _sole_and_absent(manifests: list[Manifest], taught: set[str]) -> list[str]:
    """What only one of them shows, and what none does."""
    found = []
    for each in manifests:
        own = shares(each)
        others = {name for other in manifests if other is not each for name, share in shares(other).items() if share}
        if alone := [name for name in each.classes.names if own[name] and name not in others]:
            found.append(f"Only {each.name} shows {listed(alone, 'and')}: as a target, it had no source for that.")
    every = dict.fromkeys(name for each in manifests for name in each.classes.names)
    if never := [name for name in every if name not in taught]:
        found.append(f"None of them shows {listed(never)}: no source teaches it.")
    return found


def write_common(manifests: list[Manifest], path: pathlib.Path) -> list[str]:
    """Writes a class map with the classes that every labelled data set shows; the rest becomes void.

    Returns:
      The classes, in the order of the first data set.

    Raises:
      UsageError: there are fewer than two.
    """
    labelled = [each for each in manifests if labelled_split(each)]
    if len(labelled) < 2:
        raise UsageError("--common needs two data sets with labels at least")
    shown = [{name for name, share in shares(each).items() if share} for each in labelled]
    first = labelled[0].classes
    common = [name for name in first.names if all(name in names for names in shown)]
    if len(common) < 2:
        raise UsageError(
            f"{', '.join(each.name for each in labelled)} have {listed(common) if common else 'no class'} in common by"
            " name: map one to the other's classes with --classes or --class-map first"
        )
    content = {
        "classes": [{"name": name, "color": list(first.colors[first.names.index(name)])} for name in common],
        "map": {name: [name] for name in common},
        "ignore": "rest",
    }
    with files.replacing(path) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
        temporary.write_text(f"# The classes that {', '.join(each.name for each in labelled)} show.\n{text}", "utf-8")
    return common
