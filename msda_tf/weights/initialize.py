"""Giving a network its starting weights."""

import math
import pathlib

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.weights import families, own_run
from msda_tf.weights.conversion import Conversion
from msda_tf.weights.report import ImportReport, Match

_LONGEST, _COPIES = 2**30, 16
"""Bytes of a file of weights, and times the network's own: files may hold other heads, optimizers and float64."""

ENOUGH = 0.9
"""Share of the backbone's variables under which an import is refused."""


def initialize(
    segmenter: MultiSourceSegmenter, source: str, *, allow_partial: bool = False, allow_target_labels: bool = False
) -> ImportReport:
    """Sets a network's variables from a file, or leaves all of them as they are.

    Args:
      segmenter: the network, with its variables.
      source: "imagenet" (keras.applications' weights, or an installed package), or the path of a file that the
        backbone's family knows (see `msda_tf.weights.families`), or of a run of this project. What a path holds is seen
        from its content, not from its name.
      allow_partial: accept a file that covers less than 90 % of the backbone, or of another depth.
      allow_target_labels: accept weights that were tuned on 19 street classes, as Cityscapes has.

    Returns:
      what was matched, changed, missing and unused.

    Raises:
      UsageError: no such file, not a fitting network, under 90 % of the backbone, or weights that
        have seen the target's labels.
      MsdaError: the file is damaged, or ImageNet's weights cannot be had.
    """
    family = families.of(segmenter.backbone)
    path = family.imagenet(segmenter.backbone) if source == "imagenet" else pathlib.Path(source).expanduser()
    conversion, file = _read(path, segmenter)
    if conversion.tuned_on_streets and not allow_target_labels:
        raise UsageError(
            f"{path} was tuned to segment 19 classes, as Cityscapes has: such weights have seen the target's labels; "
            "take ImageNet's, or init_target_labels=true if that is no harm"
        )
    # The first component is the model's own name.
    variables = {variable.path.split("/", 1)[1]: variable for variable in segmenter.variables}
    if not allow_partial:
        family.check(path, conversion, segmenter.backbone)
    unused = list(conversion.unused)
    matched, misfits = [], _drop_other_normalization(conversion, variables, unused)
    for name, candidate in conversion.candidates.items():
        if name not in variables:
            unused.append(candidate.key)
        elif tuple(variables[name].shape) != candidate.value.shape:
            unused.append(candidate.key)
            expected = list(variables[name].shape)
            misfits.append(f"{candidate.key} is {list(candidate.value.shape)}, {name} needs {expected}")
        else:
            matched.append(Match(name, candidate.key, candidate.how))
    matched = _without_parts_of_heads(matched, variables, unused)
    found = {match.variable for match in matched}
    notes = list(conversion.notes)
    if misfits:
        notes.append(f"{len(misfits)} tensors do not fit: {misfits[0]}")
    report = ImportReport(
        source=str(path),
        sha256=files.sha256(file),
        kind=conversion.kind,
        matched=tuple(matched),
        missing=tuple(name for name in variables if name not in found),
        unused=tuple(dict.fromkeys(unused)),
        notes=tuple(notes),
    )
    if report.backbone_share < ENOUGH and not allow_partial:
        raise UsageError(_too_little(report, misfits))
    for match in matched:
        variables[match.variable].assign(conversion.candidates[match.variable].value)
    return report


def _read(path: pathlib.Path, segmenter: MultiSourceSegmenter) -> tuple[Conversion, pathlib.Path]:
    """Recognises a path's content and translates it; also gives the file by which the weights are known."""
    checkpoint = own_run.find(path, segmenter.branches)
    if checkpoint is not None:
        return own_run.convert(checkpoint), own_run.known_by(checkpoint)
    if path.is_dir():
        raise UsageError(f"{path} is a folder, but neither a run nor a checkpoint of this project")
    if not path.is_file():
        raise UsageError(f"no such file: {path}; init is imagenet, none, a file of weights or a run")
    most = _LONGEST + _COPIES * sum(math.prod(variable.shape) * 4 for variable in segmenter.variables)
    if path.stat().st_size > most:
        raise UsageError(
            f"{path} has {path.stat().st_size / 1e9:.1f} GB, a file of weights for this network {most / 1e9:.1f} at "
            "most: name another, such as one without the optimizer's state"
        )
    with open(path, "rb") as file:
        start = file.read(64)
    if start.lstrip()[:1] == b"<":
        raise MsdaError(f"{path} is a web page, not weights: the download went wrong, get it again")
    if start.startswith(b"version https://git-lfs"):
        raise MsdaError(f"{path} is a Git LFS pointer, not weights: run git lfs pull")
    conversion = families.of(segmenter.backbone).convert(path, start, segmenter)
    if conversion is None:
        raise MsdaError(
            f"{path} is damaged or no weights: expected a Torch file, a safetensors file, a Keras file, or a run"
        )
    return conversion, path


def _drop_other_normalization(conversion: Conversion, variables: dict, unused: list[str]) -> list[str]:
    """Takes BatchNorm's tensors out for a network with GroupNorm, and the reverse: they share names, not meanings."""

    def is_batch_norm(names):
        return any(name.startswith("backbone/") and name.endswith("/moving_variance") for name in names)

    theirs, own = is_batch_norm(conversion.candidates), is_batch_norm(variables)
    if theirs == own:
        return []
    for name in [name for name in conversion.candidates if name.startswith("backbone/")]:
        if not name.endswith("/kernel"):
            unused.append(conversion.candidates.pop(name).key)
    named = {True: "BatchNorm", False: "GroupNorm"}
    return [f"it has {named[theirs]}, this network has {named[own]}: choose another norm"]


def _without_parts_of_heads(matched: list[Match], variables: dict, unused: list[str]) -> list[Match]:
    """Takes out classifiers and discriminators of which something is missing: half of one computes nothing sensible."""

    def layer(name):
        return name.rsplit("/", 1)[0]

    found = {match.variable for match in matched}
    broken = {layer(name) for name in variables if name not in found and not name.startswith("backbone/")}
    unused += [match.key for match in matched if layer(match.variable) in broken]
    return [match for match in matched if layer(match.variable) not in broken]


def _too_little(report: ImportReport, misfits: list[str]) -> str:
    matched, total = report.share("backbone")
    backbone = [name for name in report.missing if name.startswith("backbone/")]
    reason = misfits[0] if misfits else f"missing: {', '.join(backbone[:3])}"
    return (
        f"{report.source} ({report.kind}) covers {matched} of {total} variables of the backbone, {ENOUGH:.0%} are "
        f"needed ({reason}); choose another file, or init_partial=true to go on"
    )
