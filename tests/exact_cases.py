"""The inputs on which this project's networks and step must give the reference's numbers.

The gradient of a ReLU jumps at 0, where rounding decides the side: IMAGE was chosen so that the small network's ReLUs
stay well away from it, and the big network's gradients are compared in float64.
"""

import dataclasses

import numpy as np
from networks import SMALL, small_segmenter, torch_shapes
from seeded import seeded, seeded_image, seeded_labels, seeded_state

from msda_tf.config import TrainConfig

IMAGE = "image 20"
SIZE = (33, 65)
CLASSES = 5
DISCRIMINATOR_WIDTH = 8


STEP_DEPTH = dataclasses.replace(SMALL, blocks=(1, 2, 1, 1))


@dataclasses.dataclass(frozen=True)
class StepCase:
    """A step: which networks, knobs and images."""

    branches: tuple[str, ...]
    feeds: tuple[tuple[str, ...], ...]
    config: TrainConfig


# Lambdas far above the usual ones, so that every term weighs in the sums.
_LAMBDAS = {
    "seg_weight_feature": 0.5,
    "seg_weight_output": 1.0,
    "adv_weight_feature": 0.7,
    "adv_weight_output": 2.0,
}

STEPS = {
    "s-all": StepCase(("S-All",), (("S-All",),), TrainConfig(**_LAMBDAS, gan="lsgan", align_corners=False)),
    "joint": StepCase(("S1", "S2", "S-All"), (("S1", "S-All"), ("S2", "S-All")), TrainConfig(**_LAMBDAS)),
    "level": StepCase(("S1", "S2"), (("S1",), ("S2",)), TrainConfig(**_LAMBDAS, discriminators="level")),
    "adaptsegnet": StepCase(
        ("S-All",), (("S-All",),), TrainConfig(norm="adaptsegnet", aspp_rates=(6, 12), discriminators="branch")
    ),
}


def step_segmenter(case: StepCase):
    """The small network of a step, with its discriminators, and its weights by Torch name."""
    segmenter = small_segmenter(
        backbone=STEP_DEPTH,
        branches=case.branches,
        num_classes=CLASSES,
        norm=case.config.norm,
        rates=case.config.aspp_rates,
        discriminators=case.config.discriminators,
        discriminator_width=DISCRIMINATOR_WIDTH,
    )
    return segmenter, seeded_state(torch_shapes(segmenter))


def step_batch(case: StepCase) -> dict:
    """Sources of different sizes, the first with labels larger than its image, and a target; two images of each."""
    sizes, label_sizes = (SIZE, (41, 57)), ((66, 130), (41, 57))

    def domain(name, size):
        mean = np.asarray([110, 120, 100], np.float32) + seeded(f"{name} mean", (3,))
        centred = seeded_image(f"{IMAGE} {name}", *size, batch=2)
        return {"image": np.clip(np.round(centred + mean), 0, 255).astype(np.uint8), "mean": mean}

    sources = [
        {**domain(f"source {n}", sizes[n]), "label": seeded_labels(f"labels {n}", *label_sizes[n], CLASSES, batch=2)}
        for n in range(len(case.feeds))
    ]
    return {"sources": sources, "target": domain("target", (37, 64))}


def network_image() -> np.ndarray:
    """The image of the whole-network comparison, float32 `[1, H, W, 3]`."""
    return seeded_image(IMAGE, *SIZE)


def projections(name: str, gradient: np.ndarray) -> np.ndarray:
    """Four numbers that stand for a gradient: its norm, and the products of (part of) it with random directions."""
    flat = gradient.astype(np.float64).ravel()
    part = flat[:: 1 + flat.size // 20000]
    directions = seeded(f"directions of {name}", (3, part.size)).astype(np.float64)
    return np.concatenate([[np.linalg.norm(flat)], directions @ part])
