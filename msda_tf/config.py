"""The configuration of a training run: every knob, its default, and the reason for it.

A configuration is put together from a preset, a YAML file and `key=value` settings, each overriding the one before.
Unknown keys, wrong types and impossible values are refused by name.
"""

import dataclasses
import difflib
import pathlib
import types
import typing
from dataclasses import dataclass, field

import yaml

from msda_tf.errors import UsageError
from msda_tf.presets import PRESETS

PAPER_DATASETS = ("gta5", "synthia", "cityscapes")


def _knob(default, reason: str, choices: tuple = (), minimum=None):
    return field(default=default, metadata={"reason": reason, "choices": choices, "minimum": minimum})


@dataclass(frozen=True)
class TrainConfig:
    """Every knob of `msda-tf train`: its default, then what it does and why the default is what it is."""

    # Data
    target: str = _knob("", "the prepared data set to adapt to; its labels are never read in training")
    sources: tuple[str, ...] = _knob((), "labelled data sets; by default the other two of gta5, synthia, cityscapes")
    data: str = _knob("data", "the folder that prepare wrote")
    scale: float = _knob(
        1.0, "size of the network's input against the stored images; the paper's reduced setting is 0.5", minimum=0.01
    )
    source_size: tuple[int, int] | None = _knob(
        None, "fixed [width, height] of source images instead of scale; aspect not kept"
    )
    target_size: tuple[int, int] | None = _knob(
        None, "fixed [width, height] of target images instead of scale; aspect not kept"
    )
    mean: str = _knob(
        "dataset", "mean to subtract: each data set's own (the paper), or that of ImageNet", ("dataset", "imagenet")
    )
    sampling: str = _knob(
        "concat", "S-All's images: all sources pooled (the paper), or each source equally often", ("concat", "balanced")
    )
    exclude_test: bool = _knob(
        False, "keep the target's test images out of its unlabelled training images; the paper keeps them in"
    )
    flip: bool = _knob(False, "mirror half of the images; the paper states no augmentation")
    # Network
    layout: str = _knob(
        "separate",
        "networks: S1..Sn and S-All apart (the paper), joint on one backbone, or one of the two",
        ("separate", "joint", "sources", "s-all"),
    )
    backbone: str = _knob(
        "resnet101",
        "the paper's backbone; tiny learns the miniature scenes on a CPU",
        ("resnet101", "resnet50", "tiny"),
    )
    norm: str = _knob(
        "frozen",
        "BatchNorm as pretrained; adaptsegnet: batch statistics; group: GroupNorm, for random weights",
        ("frozen", "adaptsegnet", "group"),
    )
    aspp_rates: tuple[int, ...] = _knob((6, 12, 18, 24), "DeepLabV2's four; AdaptSegNet's code uses 6 and 12 only")
    init: str = _knob("imagenet", "starting weights: imagenet, none, or a file or run")
    init_partial: bool = _knob(False, "accept starting weights that cover less than 90 % of the backbone")
    align_corners: bool = _knob(
        True, "up-sampling as in the Torch version on which the published networks were trained"
    )
    discriminators: str = _knob(
        "branch", "one for each level and branch (eq. 4), or one for each level", ("branch", "level")
    )
    discriminator_width: int = _knob(64, "channels of the discriminator's first layer, as AdaptSegNet", minimum=1)
    # Losses
    adapt: bool = _knob(True, "adversarial terms; without them the S-All branch is the paper's No Adapt column")
    gan: str = _knob("vanilla", "adversarial objective (eqs. 2-3); lsgan: least squares", ("vanilla", "lsgan"))
    seg_weight_feature: float = _knob(0.1, "lambda of eq. 1 at stage 3, as AdaptSegNet", minimum=0)
    seg_weight_output: float = _knob(1.0, "lambda of eq. 1 at stage 4, as AdaptSegNet", minimum=0)
    adv_weight_feature: float = _knob(2e-4, "lambda of eq. 3 at stage 3, as AdaptSegNet", minimum=0)
    adv_weight_output: float = _knob(1e-3, "lambda of eq. 3 at stage 4, as AdaptSegNet", minimum=0)
    loss_at: str = _knob(
        "label",
        "compare at the size of the stored label (the paper, also at half resolution) or of the input",
        ("label", "input"),
    )
    # Optimisation
    steps: int = _knob(50000, "the paper's number; it reports convergence from 20000", minimum=1)
    batch_size: int = _knob(1, "images of each domain in a step, over all devices, as AdaptSegNet", minimum=1)
    accumulate: int = _knob(1, "micro-batches that each device splits its images into, to save memory", minimum=1)
    optimizer: str = _knob(
        "adam",
        "the generator's: the paper's Adam, or AdaptSegNet's SGD; discriminators always use Adam",
        ("adam", "sgd"),
    )
    generator_lr: float = _knob(1e-4, "the paper's learning rate", minimum=0)
    discriminator_lr: float = _knob(1e-4, "the paper's learning rate", minimum=0)
    head_lr_mult: float = _knob(
        1.0, "learning rate of the classifiers against the backbone's: the paper gives one number", minimum=0
    )
    momentum: float = _knob(0.9, "of SGD", minimum=0)
    weight_decay: float = _knob(5e-4, "L2 on the generator's kernels, as AdaptSegNet", minimum=0)
    poly_power: float = _knob(
        0.9, "the learning rates fall as (1 - step / poly_steps) ** poly_power, as AdaptSegNet", minimum=0
    )
    poly_steps: int | None = _knob(None, "where the learning rates would reach 0; steps by default", minimum=1)
    # Test
    merge: str = _knob(
        "max-logit",
        "Max Merge (eq. 6) on raw logits, or on probabilities",
        ("max-logit", "max-probability", "mean-probability"),
    )
    merge_at: str = _knob(
        "image", "merge for each pixel after up-sampling (the paper's figure 2), or on the small maps", ("image", "map")
    )
    merge_level: str = _knob(
        "output", "the classifiers that segment: the paper discards stage 3 at test time", ("output", "feature")
    )
    # Running
    seed: int = _knob(0, "of weights, data order and flips", minimum=0)
    precision: str = _knob("float32", "arithmetic of the networks", ("float32", "mixed_bfloat16", "mixed_float16"))
    jit: bool = _knob(False, "compile the step with XLA")
    recompute: bool = _knob(
        False, "recompute the backbone's blocks in the backward pass: less memory, about a third more time"
    )
    deterministic: bool = _knob(False, "bit-identical repetition on GPUs too, where it costs speed")
    checkpoint_every: int = _knob(1000, "steps between checkpoints", minimum=1)
    keep_checkpoints: int = _knob(3, "number of last checkpoints kept", minimum=1)
    evaluate_every: int = _knob(2000, "steps between evaluations during training; 0: none", minimum=0)
    evaluate_images: int = _knob(
        50, "target images scored during training, spread over the test split; 0: all", minimum=0
    )
    select: str = _knob(
        "last",
        "the checkpoint that is used; best needs target labels and is marked wherever it is shown",
        ("last", "best"),
    )
    corrupt_limit: int = _knob(10, "damaged records that are skipped before the run fails", minimum=0)

    def reason(self, key: str) -> str:
        """What a knob does and why its default is what it is."""
        return self.__dataclass_fields__[key].metadata["reason"]


FIELDS: dict[str, dataclasses.Field] = {f.name: f for f in dataclasses.fields(TrainConfig)}
_TYPES = typing.get_type_hints(TrainConfig)


def resolve(*, preset: str = "paper", file: str | pathlib.Path | None = None, settings: dict | None = None):
    """Puts a configuration together.

    Args:
      preset: a key of `msda_tf.presets.PRESETS`.
      file: a YAML file of `key: value` lines.
      settings: values that override both; strings are parsed as YAML (`"[640, 360]"`, `"1e-4"`, `"null"`).

    Returns:
      (config, origins): a `TrainConfig`, and for every key where its value came from: "default", "preset NAME", the
        file's path, or "command line".

    Raises:
      UsageError: an unknown preset or key, a value of the wrong type or out of range, an unreadable file.
    """
    if preset not in PRESETS:
        raise UsageError(f"unknown preset {preset!r}{_nearest(preset, PRESETS)}: one of {', '.join(PRESETS)}")
    values, origins = {}, dict.fromkeys(FIELDS, "default")

    def override(layer: dict, origin: str):
        for key, value in layer.items():
            values[key] = _checked(key, value, origin)
            origins[key] = origin

    override(PRESETS[preset], f"preset {preset}")
    if file is not None:
        override(read_yaml(file), str(file))
    override(settings or {}, "command line")
    config = TrainConfig(**values)
    if config.target and not config.sources and config.target in PAPER_DATASETS:
        config = dataclasses.replace(config, sources=tuple(name for name in PAPER_DATASETS if name != config.target))
        origins["sources"] = "the other two"
    return config, origins


def read_yaml(path: str | pathlib.Path) -> dict:
    """The mapping in a YAML file.

    Raises:
      UsageError: it cannot be read, is not YAML, or holds no mapping.
    """
    try:
        value = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        line = getattr(error, "problem_mark", None)
        where = f", line {line.line + 1}" if line else ""
        raise UsageError(f"{path}{where}: not YAML ({getattr(error, 'problem', error)})") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected lines of 'key: value', found a {type(value).__name__}")
    return value


def from_saved(value: dict, path: str | pathlib.Path) -> TrainConfig:
    """The configuration that `to_dict` wrote, from the run file `path` (named in errors)."""
    return TrainConfig(**{key: _checked(key, item, str(path)) for key, item in value.items()})


def to_dict(config: TrainConfig) -> dict:
    """JSON- and YAML-ready values of every key."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }


def validate(config: TrainConfig) -> None:
    """Checks what concerns several knobs at once.

    Raises:
      UsageError: no target or sources, a target among its sources, a source named twice.
    """
    if not config.target:
        raise UsageError("no target: name the data set to adapt to with --target")
    if not config.sources:
        raise UsageError(f"no sources for target {config.target!r}: name labelled data sets with --sources a,b")
    if config.target in config.sources:
        raise UsageError(
            f"target {config.target!r} is also among the sources ({', '.join(config.sources)}): its labels must not be "
            "trained on, take it out of --sources"
        )
    if len(set(config.sources)) != len(config.sources):
        raise UsageError(f"a source is named twice in --sources {','.join(config.sources)}")
    if config.batch_size % config.accumulate:
        raise UsageError(
            f"batch_size {config.batch_size} cannot be split into accumulate = {config.accumulate} equal parts"
        )


def _checked(key: str, value, origin: str):
    """`value` as the type of `key`."""
    if key not in FIELDS:
        raise UsageError(f"{origin}: unknown key {key!r}{_nearest(key, FIELDS)}: --print-config lists all keys")
    if isinstance(value, str) and _TYPES[key] is not str:
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"{origin}: {key} expects {_describe(_TYPES[key])}, not {value!r}") from None
    value = _converted(key, value, _TYPES[key], origin)
    metadata = FIELDS[key].metadata
    if metadata["choices"] and value not in metadata["choices"]:
        near = _nearest(str(value), metadata["choices"])
        raise UsageError(f"{origin}: {key} is one of {', '.join(metadata['choices'])}, not {value!r}{near}")
    if metadata["minimum"] is not None and value is not None and value < metadata["minimum"]:
        raise UsageError(f"{origin}: {key} must be at least {metadata['minimum']}, not {value}")
    if key in ("source_size", "target_size", "aspp_rates") and value is not None and (not value or min(value) < 1):
        raise UsageError(f"{origin}: {key} needs positive numbers, not {list(value)}")
    return value


def _converted(key, value, kind, origin):
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = next(option for option in kind.__args__ if option is not type(None))
    if typing.get_origin(kind) is tuple:
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        item_kinds = typing.get_args(kind)
        fixed = None if item_kinds[-1] is Ellipsis else len(item_kinds)
        if isinstance(items, list | tuple) and fixed in (None, len(items)):
            return tuple(_converted(key, item, item_kinds[0], origin) for item in items)
    elif kind is float:
        # YAML reads 1e-4, without a point, as text.
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                pass
    elif isinstance(value, kind) and (kind is bool) == isinstance(value, bool):
        return value
    raise UsageError(f"{origin}: {key} expects {_describe(_TYPES[key])}, not {value!r}")


def _describe(kind) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join(_describe(option) for option in kind.__args__)
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        names = {int: "whole numbers", str: "names"}
        return f"a list of {names[items[0]]}" if items[-1] is Ellipsis else f"[{', '.join(['number'] * len(items))}]"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}[kind]


def _nearest(word: str, known) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
