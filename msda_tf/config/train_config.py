"""The configuration of a training run: every knob, its default, and the reason for it.

A configuration is put together from a preset, a YAML file and `key=value` settings, each overriding the one before.
Unknown keys, wrong types and impossible values are refused by name.
"""

import dataclasses
import pathlib
from dataclasses import dataclass

from msda_tf.config import knobs
from msda_tf.config.knobs import knob, read_yaml, to_dict
from msda_tf.config.presets import PRESETS
from msda_tf.errors import UsageError
from msda_tf.methods import METHODS
from msda_tf.models.backbones import BACKBONES
from msda_tf.models.decoders import DECODERS

__all__ = ["FIELDS", "PAPER_DATASETS", "TrainConfig", "from_saved", "read_yaml", "resolve", "to_dict", "validate"]

PAPER_DATASETS = ("gta5", "synthia", "cityscapes")

_WITH_DISCRIMINATORS = {"method": tuple(name for name, entry in METHODS.items() if entry.discriminators)}
_WITH_TEACHER = {"method": tuple(name for name, entry in METHODS.items() if entry.teacher)}

_BY_HELD_OUT = ("calibrated-probability", "weighted-probability", "class-weighted-probability")


@dataclass(frozen=True)
class TrainConfig:
    """Every knob of `msda-tf train`: its default, then what it does and why the default is what it is."""

    # Data
    target: str = knob(
        "", "the prepared data set to adapt to, or several, separated by commas; its labels are never read in training"
    )
    sources: tuple[str, ...] = knob((), "labelled data sets; by default the other two of gta5, synthia, cityscapes")
    data: str = knob("data", "the folder that prepare wrote, or its URL")
    scale: float = knob(
        1.0,
        "size of the network's input against the stored images; the paper's reduced setting is 0.5",
        minimum=0.01,
        maximum=4,
    )
    source_size: tuple[int, int] | None = knob(
        None, "fixed [width, height] of source images instead of scale; aspect not kept", minimum=1, maximum=32768
    )
    target_size: tuple[int, int] | None = knob(
        None, "fixed [width, height] of target images instead of scale; aspect not kept", minimum=1, maximum=32768
    )
    mean: str = knob(
        "dataset", "mean to subtract: each data set's own (the paper), or that of ImageNet", ("dataset", "imagenet")
    )
    sampling: str = knob(
        "concat",
        "S-All's images: all sources pooled (the paper), or each source equally often",
        ("concat", "balanced"),
        only_for={"layout": ("separate", "s-all")},
    )
    target_sampling: str = knob(
        "concat",
        "with several targets, their images: all pooled (as the paper pools sources), or each target equally often",
        ("concat", "balanced"),
    )
    exclude_test: bool = knob(
        False, "keep the target's test images out of its unlabelled training images; the paper keeps them in"
    )
    held_out: int = knob(
        0,
        "images of each source that are never trained on, at most a tenth of it: on them every branch is scored, to "
        "merge branches of unequal worth and to estimate without the target's labels; the paper trains on all",
        minimum=0,
    )
    flip: bool = knob(False, "mirror half of the images; the paper states no augmentation")
    crop: tuple[int, int] | None = knob(
        None,
        "[width, height] of random crops of the network's input, from all data sets; by default none, but with a "
        "teacher all are cut to the size that they have in common",
        minimum=1,
        maximum=32768,
    )
    random_scale: tuple[float, float] = knob(
        (1.0, 1.0),
        "smallest and largest factor by which images are resized before they are cropped; published recipes have none",
        minimum=0.1,
        maximum=10,
    )
    crop_max_share: float = knob(
        1.0,
        "largest part of a crop of a source that one class should have; up to ten are drawn; 0.75 in DAFormer",
        minimum=0,
        maximum=1,
    )
    source_images: str = knob(
        "shuffled",
        "order of a source's images: all alike, or those of rare classes more often (DAFormer, eqs. 8-9)",
        ("shuffled", "rare-classes"),
    )
    rare_temperature: float = knob(
        0.01,
        "of rare-classes: the lower, the more often the rarest; DAFormer's; 0.05 in VFM-UDA++",
        minimum=1e-4,
        maximum=1000,
        only_for={"source_images": ("rare-classes",)},
    )
    rare_min_pixels: int = knob(
        3000,
        "pixels of a class that a stored label needs to count as one with that class, as DAFormer",
        minimum=0,
        only_for={"source_images": ("rare-classes",)},
    )
    rare_crop_ratio: float = knob(
        0.5,
        "a crop should show this part of rare_min_pixels of the class it was drawn for; up to ten are drawn",
        minimum=0,
        only_for={"source_images": ("rare-classes",)},
    )
    # Network
    layout: str = knob(
        "separate",
        "networks: S1..Sn and S-All apart (the paper), joint on one backbone, or one of the two",
        ("separate", "joint", "sources", "s-all"),
    )
    backbone: str = knob(
        "resnet101", "the paper's backbone; tiny learns the miniature scenes on a CPU", tuple(BACKBONES)
    )
    output_stride: int = knob(
        8,
        "image pixels for each pixel of the coarsest map, by dilation: 16 takes a third of the time, and is coarser",
        (8, 16),
        only_for={"backbone": tuple(name for name, entry in BACKBONES.items() if entry.dilates)},
    )
    freeze_backbone: bool = knob(
        False, "train the decoder and the classifiers alone: little memory, and what a foundation model knows stays"
    )
    decoder: str = knob("atrous", "from the backbone's maps to logits: DeepLabV2's, the paper's", tuple(DECODERS))
    norm: str = knob(
        "frozen",
        "BatchNorm as pretrained; adaptsegnet: batch statistics; group: GroupNorm, for random weights",
        ("frozen", "adaptsegnet", "group"),
        only_for={"backbone": tuple(name for name, entry in BACKBONES.items() if entry.norms)},
    )
    aspp_rates: tuple[int, ...] = knob(
        (6, 12, 18, 24),
        "of atrous classifiers, which level feature always has: DeepLabV2's four; AdaptSegNet's code uses 6 and 12",
        minimum=1,
        maximum=1024,
    )
    init: str = knob("imagenet", "starting weights: imagenet, none, or a file or run")
    init_target_labels: bool = knob(
        False, "accept starting weights that were tuned on 19 street classes, and so may have seen the target's labels"
    )
    init_partial: bool = knob(False, "accept starting weights that cover less than 90 % of the backbone")
    align_corners: bool = knob(True, "up-sampling as in the Torch version on which the published networks were trained")
    discriminators: str = knob(
        "branch",
        "one for each level and branch (eq. 4), or one for each level",
        ("branch", "level"),
        only_for=_WITH_DISCRIMINATORS,
    )
    discriminator_width: int = knob(
        64,
        "channels of the discriminator's first layer, as AdaptSegNet",
        minimum=1,
        maximum=4096,
        only_for=_WITH_DISCRIMINATORS,
    )
    # Losses
    method: str = knob(
        "adversarial",
        "the paper's; supervised: the sources' labels alone, whose S-All branch is the paper's No Adapt column",
        tuple(METHODS),
    )
    gan: str = knob(
        "vanilla",
        "adversarial objective (eqs. 2-3); lsgan: least squares",
        ("vanilla", "lsgan"),
        only_for=_WITH_DISCRIMINATORS,
    )
    seg_weight_feature: float = knob(0.1, "lambda of eq. 1 at stage 3, as AdaptSegNet", minimum=0)
    seg_weight_output: float = knob(1.0, "lambda of eq. 1 at stage 4, as AdaptSegNet", minimum=0)
    adv_weight_feature: float = knob(
        2e-4, "lambda of eq. 3 at stage 3, as AdaptSegNet", minimum=0, only_for=_WITH_DISCRIMINATORS
    )
    adv_weight_output: float = knob(
        1e-3, "lambda of eq. 3 at stage 4, as AdaptSegNet", minimum=0, only_for=_WITH_DISCRIMINATORS
    )
    loss_at: str = knob(
        "label",
        "compare at the size of the stored label (the paper, also at half resolution) or of the input; crops and "
        "methods with a teacher always compare at that of the input",
        ("label", "input"),
        only_for={"method": tuple(name for name, entry in METHODS.items() if not entry.teacher)},
    )
    loss_over: str = knob(
        "valid",
        "cross-entropies are means over labelled pixels, or, as in DAFormer, over all, of which others count 0",
        ("valid", "all"),
    )
    # Self-training
    ema_decay: float = knob(
        0.999,
        "of the teacher, the moving average of the network's weights: DAFormer's; 0.99 in DACS",
        minimum=0,
        maximum=1,
        only_for=_WITH_TEACHER,
    )
    ema_when: str = knob(
        "before",
        "the teacher follows before the network's step (DAFormer) or after it (DACS)",
        ("before", "after"),
        only_for=_WITH_TEACHER,
    )
    self_training_start: int = knob(
        0,
        "step before which pseudo-labels weigh nothing; they are computed all the same",
        minimum=0,
        only_for=_WITH_TEACHER,
    )
    pseudo_merge: str = knob(
        "mean-probability",
        "how the teacher's branches are merged, on their small maps, into one pseudo-label; the last three go by "
        "held_out images of other sources",
        ("max-logit", "max-probability", "mean-probability", *_BY_HELD_OUT),
        only_for=_WITH_TEACHER,
    )
    pseudo_merge_every: int = knob(
        100,
        "steps from one look at the held-out images to the next",
        minimum=1,
        only_for={**_WITH_TEACHER, "pseudo_merge": _BY_HELD_OUT},
    )
    pseudo_threshold: float = knob(
        0.968, "probability from which the teacher is sure, as DACS", minimum=0, maximum=1, only_for=_WITH_TEACHER
    )
    pseudo_weight: str = knob(
        "share",
        "weight of pseudo-labels: the share of pixels that are sure, for all (DACS); 1 for each pixel that is, else 0; "
        "or that with a threshold for each class, lower where the teacher is less sure (FreeMatch, eq. 10)",
        ("share", "pixel", "class"),
        only_for=_WITH_TEACHER,
    )
    pseudo_context: float | None = knob(
        None,
        "the teacher labels by the mean of what it says of the network's input and of the whole image at this part of "
        "the input's scale: it knows what a crop does not show, and things of another size; by default by the first",
        minimum=0.01,
        maximum=1,
        only_for=_WITH_TEACHER,
    )
    pseudo_floor: float = knob(
        0.0,
        "each class keeps at least this part of its share in the sources' labels (the mean over the sources that show "
        "it): the teacher gives a class that falls below it up to ten times its probability, so that small classes do "
        "not go under; 0: what is likeliest",
        minimum=0,
        maximum=1,
        only_for=_WITH_TEACHER,
    )
    pseudo_margins: tuple[float, float, float, float] = knob(
        (0.0, 0.0, 0.0, 0.0),
        "top, bottom, left and right parts of target images whose pseudo-labels weigh nothing: DAFormer has 0.03, "
        "0.234, 0, 0, for Cityscapes' bonnet and sky",
        minimum=0,
        maximum=1,
        only_for=_WITH_TEACHER,
    )
    mix_weight: float = knob(
        1.0, "lambda of mixed images against that of a source's own, as DACS", minimum=0, only_for=_WITH_TEACHER
    )
    classmix_classes: str = knob(
        "image",
        "half of which classes are pasted: those of the source image (DACS), or of the whole batch (DAFormer)",
        ("image", "batch"),
        only_for=_WITH_TEACHER,
    )
    colour_jitter: float = knob(
        0.25,
        "largest change of brightness, contrast, saturation and hue of mixed images, as DACS; 0.2 in DAFormer",
        minimum=0,
        maximum=0.5,
        only_for=_WITH_TEACHER,
    )
    blur: bool = knob(
        True, "blur half of the batches of mixed images, sigma 0.15 to 1.15, as DACS", only_for=_WITH_TEACHER
    )
    masked: bool = knob(
        False, "learn from target images of which blocks are hidden, too (MIC); one more pass", only_for=_WITH_TEACHER
    )
    mask_weight: float = knob(
        1.0, "lambda of masked images, as MIC", minimum=0, only_for={**_WITH_TEACHER, "masked": (True,)}
    )
    mask_ratio: float = knob(
        0.7,
        "part of an image that is hidden, as MIC",
        minimum=0,
        maximum=1,
        only_for={**_WITH_TEACHER, "masked": (True,)},
    )
    mask_block: int = knob(
        64,
        "side of a block in pixels of the input: MIC's at Cityscapes' own size; 32 at half of it",
        minimum=1,
        maximum=32768,
        only_for={**_WITH_TEACHER, "masked": (True,)},
    )
    feature_distance: bool = knob(
        False,
        "hold the backbone's last map near that of the starting weights, on things (DAFormer)",
        only_for=_WITH_TEACHER,
    )
    feature_distance_weight: float = knob(
        0.005, "its lambda, as DAFormer", minimum=0, only_for={**_WITH_TEACHER, "feature_distance": (True,)}
    )
    feature_distance_classes: tuple[int, ...] = knob(
        (6, 7, 11, 12, 13, 14, 15, 16, 17, 18),
        "trainIds of things: Cityscapes', as DAFormer",
        minimum=0,
        maximum=254,
        only_for={**_WITH_TEACHER, "feature_distance": (True,)},
    )
    # Optimisation
    steps: int = knob(50000, "the paper's number; it reports convergence from 20000", minimum=1)
    batch_size: int = knob(
        1, "images of each domain in a step, over all devices, as AdaptSegNet", minimum=1, maximum=65536
    )
    accumulate: int = knob(
        1, "micro-batches that each device splits its images into, to save memory", minimum=1, maximum=65536
    )
    optimizer: str = knob(
        "adam",
        "the generator's: the paper's Adam, AdaptSegNet's SGD, or DAFormer's AdamW; discriminators always use Adam",
        ("adam", "sgd", "adamw"),
    )
    generator_lr: float = knob(1e-4, "the paper's learning rate", minimum=0, maximum=100)
    discriminator_lr: float = knob(
        1e-4, "the paper's learning rate", minimum=0, maximum=100, only_for=_WITH_DISCRIMINATORS
    )
    head_lr_mult: float = knob(
        1.0, "learning rate of the classifiers against the backbone's: the paper gives one number", minimum=0
    )
    layer_decay: float = knob(
        1.0,
        "learning rate of a transformer's block against the next one's; the last has generator_lr; 0.9 in VFM-UDA++",
        minimum=0,
        maximum=1,
        only_for={"backbone": tuple(name for name, entry in BACKBONES.items() if not entry.norms)},
    )
    momentum: float = knob(0.9, "of SGD", minimum=0, maximum=1, only_for={"optimizer": ("sgd",)})
    weight_decay: float = knob(
        5e-4, "L2 on the generator's kernels, as AdaptSegNet; with adamw decoupled, 0.01 in DAFormer", minimum=0
    )
    clip_norm: float | None = knob(
        None, "the generator's gradients are shrunk to this norm over all of them; by default they stay", minimum=0
    )
    warm_up: int = knob(
        0,
        "steps in which the learning rates rise in a straight line from nearly 0; DAFormer's transformers need 1500",
        minimum=0,
    )
    poly_power: float = knob(
        0.9, "the learning rates fall as (1 - step / poly_steps) ** poly_power, as AdaptSegNet", minimum=0
    )
    poly_steps: int | None = knob(None, "where the learning rates would reach 0; steps by default", minimum=1)
    # Test
    merge: str = knob(
        "max-logit",
        "Max Merge (eq. 6) on raw logits, or on probabilities; the last three go by held_out images of other sources",
        (
            "max-logit",
            "max-probability",
            "mean-probability",
            *_BY_HELD_OUT,
        ),
    )
    merge_at: str = knob(
        "image", "merge for each pixel after up-sampling (the paper's figure 2), or on the small maps", ("image", "map")
    )
    merge_level: str = knob(
        "output", "the classifiers that segment: the paper discards stage 3 at test time", ("output", "feature")
    )
    window: tuple[int, int] | None = knob(
        None,
        "[width, height] of windows of the network's input that pass it one by one when it is tested, each half over "
        "the next, as HRDA's of 1024; by default images pass whole, as in the paper",
        minimum=32,
        maximum=32768,
    )
    # Running
    seed: int = knob(0, "of weights, data order and flips", minimum=0, maximum=2**32 - 1)
    precision: str = knob("float32", "arithmetic of the networks", ("float32", "mixed_bfloat16", "mixed_float16"))
    jit: bool = knob(False, "compile the step with XLA")
    recompute: bool = knob(
        False, "recompute the backbone's blocks in the backward pass: less memory, about a third more time"
    )
    passes: str = knob(
        "auto",
        "domains whose images have one size pass the backbone together (fewer and larger operations, more memory) or "
        "apart; auto: together on a GPU whose memory they fit, apart elsewhere",
        ("auto", "together", "apart"),
    )
    deterministic: bool = knob(False, "bit-identical repetition on GPUs too, where it costs speed")
    checkpoint_every: int = knob(1000, "steps between checkpoints", minimum=1)
    keep_checkpoints: int = knob(3, "number of last checkpoints kept", minimum=1)
    evaluate_every: int = knob(2000, "steps between evaluations during training; 0: none", minimum=0)
    evaluate_images: int = knob(
        50, "target images scored during training, spread over the test split; 0: all", minimum=0
    )
    serve: str = knob(
        "teacher",
        "the network that segments: the teacher, or the student, which the published figures are of",
        ("teacher", "student"),
        only_for=_WITH_TEACHER,
    )
    select: str = knob(
        "last",
        "the checkpoint that is used; best needs target labels and is marked wherever it is shown; unlabelled has the "
        "highest estimate without them, for which held_out is needed",
        ("last", "best", "unlabelled"),
    )
    corrupt_limit: int = knob(10, "damaged records that are skipped before the run fails", minimum=0)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names in `target`."""
        return tuple(self.target.split(","))

    def reason(self, key: str) -> str:
        """What a knob does and why its default is what it is."""
        return self.__dataclass_fields__[key].metadata["reason"]


FIELDS: dict[str, dataclasses.Field] = knobs.fields(TrainConfig)


def resolve(
    *,
    preset: str = "paper",
    file: str | pathlib.Path | None = None,
    settings: dict | None = None,
    refuse_unread: bool = True,
):
    """Puts a configuration together.

    Args:
      preset: a key of `msda_tf.config.presets.PRESETS`.
      file: a YAML file of `key: value` lines.
      settings: values that override both; strings are parsed as YAML (`"[640, 360]"`, `"1e-4"`, `"null"`).
      refuse_unread: whether a setting that nothing reads beside the others (such as `momentum` with Adam) is an error.

    Returns:
      (config, origins): a `TrainConfig`, and for every key where its value came from: "default", "preset NAME", the
        file's path, or "command line".

    Raises:
      UsageError: an unknown preset or key, a value of the wrong type or out of range, a setting without effect, an
        unreadable file.
    """
    config, origins = knobs.resolve(
        TrainConfig,
        presets=PRESETS,
        preset=preset,
        file=file,
        settings=settings,
        renamed=_renamed,
        refuse_unread=refuse_unread,
    )
    config = dataclasses.replace(config, target=",".join(name.strip() for name in config.targets))
    default = config.target_sampling == TrainConfig.target_sampling and origins["target_sampling"] != "command line"
    if refuse_unread and len(config.targets) == 1 and not default:
        raise UsageError(
            f"{origins['target_sampling']}: target_sampling has no effect here: it is read with several targets, and "
            "this is one; leave it out"
        )
    if not config.sources and set(config.targets) <= set(PAPER_DATASETS):
        config = dataclasses.replace(config, sources=tuple(n for n in PAPER_DATASETS if n not in config.targets))
        origins["sources"] = "the other two" if len(config.sources) == 2 else "the other one"
    paths = ("data",) if config.init in ("imagenet", "none") else ("data", "init")
    return knobs.with_local_paths(config, origins, paths), origins


def from_saved(value: dict, path: str | pathlib.Path) -> TrainConfig:
    """The configuration that `to_dict` wrote, from the run file `path` (named in errors)."""
    return knobs.from_saved(TrainConfig, _renamed(value, str(path)), path)


def _renamed(layer: dict, origin: str) -> dict:
    """Settings under their present names: `adapt` became `method`. A list of targets is written as one text."""
    targets = layer.get("target")
    if isinstance(targets, list) and all(isinstance(name, str) for name in targets):
        layer = {**layer, "target": ",".join(targets)}
    if "adapt" not in layer:
        return layer
    adapt = knobs.converted(layer["adapt"], bool, f"{origin}: adapt")
    method = {"method": "adversarial" if adapt else "supervised"}
    return method | {key: value for key, value in layer.items() if key != "adapt"}


def validate(config: TrainConfig) -> None:
    """Checks what concerns several knobs at once.

    Raises:
      UsageError: no target or sources, a target among its sources, a source or target named twice, a merge that goes
        by held-out images without any.
    """
    if not config.target:
        raise UsageError("no target: name the data set to adapt to with --target")
    _check_targets(config.targets)
    if not config.sources:
        raise UsageError(f"no sources for target {config.target!r}: name labelled data sets with --sources a,b")
    for target in config.targets:
        if same := [source for source in config.sources if _share_images(target, source)]:
            holds = "" if same[0] == target else f", as {same[0]!r},"
            raise UsageError(
                f"target {target!r} is also among the sources ({', '.join(config.sources)}){holds}: its labels must "
                "not be trained on, take it out of --sources"
            )
    if len(set(config.sources)) != len(config.sources):
        raise UsageError(f"a source is named twice in --sources {','.join(config.sources)}")
    rules = {"merge": config.merge}
    if METHODS[config.method].teacher:
        rules["pseudo_merge"] = config.pseudo_merge
    for knob_name, rule in rules.items():
        if not config.held_out and rule in _BY_HELD_OUT:
            raise UsageError(
                f"{knob_name}={rule} goes by held-out images of the sources: set held_out, such as 20, or "
                f"{knob_name}, such as mean-probability"
            )
    _check_self_training(config)
    if not config.held_out and config.select == "unlabelled":
        raise UsageError("select=unlabelled estimates by held-out images of the sources: set held_out, such as 20")
    if config.passes == "together" and config.norm == "adaptsegnet":
        raise UsageError("passes=together would mix the domains' batch statistics of norm=adaptsegnet: leave one out")
    if config.batch_size % config.accumulate:
        raise UsageError(
            f"batch_size {config.batch_size} cannot be split into accumulate = {config.accumulate} equal parts"
        )


def _check_self_training(config: TrainConfig) -> None:
    """Raises UsageError for what leaves nothing to learn from."""
    low, high = config.random_scale
    if low > high:
        raise UsageError(f"random_scale [{low:g}, {high:g}]: the first, the smallest factor, is larger than the second")
    top, bottom, left, right = config.pseudo_margins
    if top + bottom >= 1 or left + right >= 1:
        raise UsageError(
            f"pseudo_margins {list(config.pseudo_margins)} leave nothing of the image: top and bottom, and left and "
            "right, must be less than 1 together"
        )


def _check_targets(targets: tuple[str, ...]) -> None:
    if "" in targets:
        raise UsageError(f"--target {','.join(targets)}: a name is missing beside a comma")
    for number, target in enumerate(targets):
        for other in targets[:number]:
            if other == target:
                raise UsageError(f"target {target!r} is named twice in --target {','.join(targets)}")
            if _share_images(other, target):
                whole, part = sorted((other, target), key=len)
                raise UsageError(
                    f"--target {','.join(targets)}: the images of {part!r} are also in {whole!r}; name one of them"
                )


def _share_images(first: str, second: str) -> bool:
    """Whether two names are of one data set, or of a data set and a condition of it ("acdc", "acdc:night")."""
    (name, _, condition), (other, _, other_condition) = first.partition(":"), second.partition(":")
    return name == other and (condition == other_condition or not condition or not other_condition)
