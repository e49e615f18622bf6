"""The configuration of a stylize run: every knob, its default, and the reason for it."""

import pathlib
from dataclasses import dataclass

from msda_tf.config import knobs
from msda_tf.config.knobs import knob
from msda_tf.errors import UsageError

SMALLEST_CROP = 64
"""Pixels: the discriminators halve a crop six times, counting the smallest of their three scales."""


@dataclass(frozen=True)
class StylizeConfig:
    """Every knob of `msda-tf stylize train`: its default, then what it does and why the default is what it is."""

    # Data
    source: str = knob("", "the prepared data set whose images are re-styled (domain a); its labels are never read")
    target: str = knob("", "the prepared data set whose look they take on (domain b); its labels are never read")
    data: str = knob("data", "the folder that prepare wrote, or its URL")
    shortest_side: int | None = knob(
        None,
        "resize images to this height or width, whichever is less; by default they keep their stored size, at which "
        "apply translates them; UNIT's code uses 512 or 256",
        minimum=SMALLEST_CROP,
        maximum=32768,
    )
    crop: int = knob(
        512, "side of the random crops, a multiple of 4, as UNIT's; 256 fits small GPUs", minimum=64, maximum=32768
    )
    flip: bool = knob(True, "mirror half of the images, as UNIT")
    # Networks
    channels: int = knob(64, "of the first convolution of encoders and decoders, as UNIT", minimum=1, maximum=4096)
    blocks: int = knob(4, "residual blocks of each encoder and decoder, as UNIT", minimum=0, maximum=1024)
    discriminator_channels: int = knob(64, "of the discriminators' first convolution, as UNIT", minimum=1, maximum=4096)
    same_start: bool = knob(
        False,
        "start both autoencoders with the same weights; UNIT does not, and translations may come out shifted by a few "
        "pixels, which no term but perceptual sees",
    )
    code_noise: float = knob(
        1.0,
        "deviation of the noise on codes in training, as UNIT; small networks have too few channels to carry details "
        "through that much of it, and blur",
        minimum=0,
    )
    # Losses
    gan_weight: float = knob(1.0, "of the adversarial terms, as UNIT", minimum=0)
    within_weight: float = knob(10.0, "of an image's reconstruction within its own domain (L1), as UNIT", minimum=0)
    kl_weight: float = knob(0.01, "of the codes' squares: draws them towards N(0, 1), as UNIT", minimum=0)
    cycle_weight: float = knob(10.0, "of an image's reconstruction there and back (L1), as UNIT", minimum=0)
    kl_cycle_weight: float = knob(0.01, "of the squares of translated images' codes, as UNIT", minimum=0)
    perceptual_weight: float = knob(
        1.0, "of the features that should stay from image to translation, as UNIT for GTA5 to Cityscapes", minimum=0
    )
    perceptual_features: str = knob(
        "vgg16",
        "whose features: VGG16's (UNIT), or those of a small network of fixed random weights, which needs no download "
        "and holds edges in place",
        ("vgg16", "random"),
    )
    # Optimisation
    steps: int = knob(1_000_000, "as UNIT; look at the pictures, they are often good much earlier", minimum=1)
    batch_size: int = knob(1, "crops of each domain in a step, over all devices, as UNIT", minimum=1, maximum=65536)
    learning_rate: float = knob(1e-4, "of Adam with betas 0.5 and 0.999, as UNIT", minimum=0, maximum=100)
    halve_every: int = knob(100_000, "steps after which the learning rate is halved, again and again", minimum=1)
    weight_decay: float = knob(1e-4, "L2 on all kernels, as UNIT", minimum=0)
    # Running
    seed: int = knob(0, "of weights, data order, crops, flips and noise", minimum=0, maximum=2**32 - 1)
    precision: str = knob("float32", "arithmetic of the networks", ("float32", "mixed_bfloat16", "mixed_float16"))
    jit: bool = knob(False, "compile the step with XLA")
    deterministic: bool = knob(False, "bit-identical repetition on GPUs too, where it costs speed")
    checkpoint_every: int = knob(5000, "steps between checkpoints", minimum=1)
    keep_checkpoints: int = knob(3, "number of last checkpoints kept", minimum=1)
    evaluate_every: int = knob(5000, "steps between picture grids and Frechet distances; 0: none", minimum=0)
    evaluate_images: int = knob(32, "crops of each domain in the Frechet distances", minimum=2, maximum=100_000)
    preview_images: int = knob(4, "rows of the picture grid, at most evaluate_images", minimum=1)
    corrupt_limit: int = knob(10, "damaged records that are skipped before the run fails", minimum=0)

    def reason(self, key: str) -> str:
        """What a knob does and why its default is what it is."""
        return self.__dataclass_fields__[key].metadata["reason"]


PRESETS: dict[str, dict] = {
    # Stored size, as it is then applied to.
    "full": {},
    # UNIT's configuration for GTA5 to Cityscapes as published: frames of 512 pixels' height.
    "unit": {"shortest_side": 512},
    # Its other published size, for GPUs of about 8 GB.
    "unit-256": {"shortest_side": 256, "crop": 256},
    # Learns the miniature scenes' look in a quarter of an hour on two CPU cores.
    "miniature": {
        "crop": 96,
        "channels": 20,
        "blocks": 1,
        "discriminator_channels": 16,
        "same_start": True,
        "code_noise": 0.05,
        "perceptual_features": "random",
        "steps": 4000,
        "learning_rate": 7e-4,
        "halve_every": 1500,
        "checkpoint_every": 250,
        "evaluate_every": 500,
    },
}
"""Named starting points: only what differs from the defaults."""

# What may differ when a run is continued: where and how often things are written, not what is computed.
FREE = ("data", "checkpoint_every", "keep_checkpoints", "evaluate_every", "evaluate_images", "preview_images")
FREE += ("corrupt_limit",)


def resolve(*, preset: str = "full", file: str | pathlib.Path | None = None, settings: dict | None = None):
    """Puts a configuration together: see `msda_tf.config.knobs.resolve`; the presets are `PRESETS`."""
    config, origins = knobs.resolve(StylizeConfig, presets=PRESETS, preset=preset, file=file, settings=settings)
    return knobs.with_local_paths(config, origins, ("data",)), origins


def validate(config: StylizeConfig) -> None:
    """Checks what concerns several knobs at once.

    Raises:
      UsageError: no source or target, or both the same; a crop that fits neither network nor images.
    """
    for role in ("source", "target"):
        if not getattr(config, role):
            raise UsageError(f"no {role}: name a prepared data set with --{role}")
    if config.source == config.target:
        raise UsageError(f"source and target are both {config.source!r}: there is nothing to translate")
    if config.crop % 4:
        raise UsageError(f"crop {config.crop} is not a multiple of 4, by which the encoders shrink it")
    if config.shortest_side is not None and config.crop > config.shortest_side:
        raise UsageError(f"crop {config.crop} does not fit into images of shortest_side {config.shortest_side}")
    if config.preview_images > config.evaluate_images:
        raise UsageError(f"preview_images {config.preview_images} is more than evaluate_images")
