"""What the reference computes for the cases of `exact_cases`, by the names under which golden values are stored."""

import numpy as np
import torch
import torch_deeplab
import torch_step
from exact_cases import CLASSES, DISCRIMINATOR_WIDTH, StepCase
from seeded import seeded


def nchw(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy())


def nhwc(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def network(depth, state, image, *, classes, dtype) -> dict[str, np.ndarray]:
    """Logits of both levels, and gradients of their sum weighted with seeded directions.

    Returns:
      "feature", "output" and "image" (the input's gradient) as `[1, h, w, C]`, every other gradient by its Torch name.
    """
    model = torch_deeplab.load_numpy(torch_deeplab.DeepLab(depth, classes=classes), state).to(dtype)
    tensor = nchw(image).to(dtype).requires_grad_(True)
    [feature], [output] = model(tensor)
    total = sum(
        (logits * nchw(seeded(level, tuple(nhwc(logits).shape)))).sum()
        for level, logits in (("feature", feature), ("output", output))
    )
    total.backward()
    results = {"feature": nhwc(feature), "output": nhwc(output), "image": nhwc(tensor.grad)}
    gradients = {n: p.grad.numpy() for n, p in model.named_parameters() if ".bn" not in n and not n.startswith("bn")}
    return results | {name: value for name, value in gradients.items() if "downsample.1" not in name}


def step(case: StepCase, depth, state, batch, dtype):
    """Losses and gradients of a step, and the network, whose statistics the step may have changed.

    Returns:
      ({name: loss}, {name: gradient}, {name: running statistics}); gradients and statistics by their Torch names,
      discriminators' as `<level>.<branch or shared>.<parameter>`; a parameter that the step does not reach is left out.
    """
    own = {name: value for name, value in state.items() if not name.startswith(("feature.", "output."))}
    rates = case.config.aspp_rates
    model = torch_deeplab.DeepLab(depth, classes=CLASSES, branches=len(case.branches), rates=rates, used=len(rates))
    model = torch_deeplab.load_numpy(model, own).to(dtype)
    if case.config.norm == "adaptsegnet":
        model.train()
    discriminators, names = {}, {}
    for level in torch_step.LEVELS:
        for branch in case.branches:
            name = f"{level}.{'shared' if case.config.discriminators == 'level' else branch}"
            if name not in names:
                module = torch_deeplab.discriminator(CLASSES, DISCRIMINATOR_WIDTH)
                prefix = name + "."
                weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
                names[name] = torch_deeplab.load_numpy(module, weights).to(dtype)
            discriminators[level, branch] = names[name]
    losses, generator, discriminator = torch_step.step(
        model, discriminators, batch, feeds=case.feeds, branches=case.branches, config=case.config
    )
    shared = case.config.discriminators == "level"
    gradients = {name: value for name, value in generator.items() if value is not None}
    gradients |= {f"{level}.{'shared' if shared else branch}.{n}": v for (level, branch, n), v in discriminator.items()}
    statistics = {name: value.numpy() for name, value in model.named_buffers() if "running" in name}
    return losses, gradients, statistics
