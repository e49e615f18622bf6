"""Writes golden/deeplab.npz from the Torch reference in float64.

Weights and images come from seeds, so only results are stored. Run it after a change of `exact_cases.py`, `seeded.py`
or the reference; it needs Torch (`pip install -e '.[torch]'`) and half a minute:

    python tests/make_golden.py
"""

import numpy as np
import torch
import torch_reference
from exact_cases import CLASSES, STEP_DEPTH, STEPS, network_image, projections, step_batch, step_segmenter
from golden import PATH, pack
from networks import SMALL, resnet, torch_shapes
from seeded import seeded_state

from msda_tf.files import replacing
from msda_tf.models.backbones.atrous_resnet import DEPTHS
from msda_tf.models.segmenter import MultiSourceSegmenter

RESULTS = ("feature", "output", "image")


def networks() -> dict[str, np.ndarray]:
    """Logits and input gradients in full, other gradients as projections."""
    arrays = {}
    for name, depth in (("small", SMALL), ("resnet101", DEPTHS["resnet101"])):
        segmenter = MultiSourceSegmenter(
            branches=("S1",), num_classes=CLASSES, backbone=resnet(depth), discriminators="none"
        )
        segmenter.create_variables()
        state = seeded_state(torch_shapes(segmenter))
        results = torch_reference.network(depth, state, network_image(), classes=CLASSES, dtype=torch.float64)
        arrays |= {f"{name} {key}": results.pop(key).astype(np.float32) for key in RESULTS}
        arrays |= pack(f"{name} gradients", {key: projections(key, value) for key, value in results.items()})
    return arrays


def steps() -> dict[str, np.ndarray]:
    """Losses, gradients as projections, and the statistics of one BatchNorm."""
    arrays = {}
    for name, case in STEPS.items():
        _, state = step_segmenter(case)
        losses, gradients, statistics = torch_reference.step(case, STEP_DEPTH, state, step_batch(case), torch.float64)
        arrays |= pack(f"{name} losses", {key: np.float64(value) for key, value in losses.items()})
        arrays |= pack(f"{name} gradients", {key: projections(key, value) for key, value in gradients.items()})
        arrays |= pack(f"{name} statistics", {key: statistics[key] for key in statistics if "layer4.0.bn2" in key})
    return arrays


def main():
    PATH.parent.mkdir(exist_ok=True)
    with replacing(PATH) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **networks(), **steps())
    print(f"{PATH}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
