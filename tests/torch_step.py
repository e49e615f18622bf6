"""The reference step: losses and gradients of the paper's equations 1 to 5 from Torch's own functions."""

import torch
from torch.nn import functional

LEVELS = ("feature", "output")


def images_tensor(images, like):
    """Centred images `[B, 3, H, W]` of a domain, of the type of a parameter."""
    centred = images["image"].astype("float32") - images["mean"]
    return torch.from_numpy(centred.transpose(0, 3, 1, 2).copy()).to(like.dtype)


def step(network, discriminators, batch, *, feeds, branches, config):
    """Losses and gradients at the present weights.

    Args:
      network: `torch_deeplab.DeepLab` with one pair of heads for each branch.
      discriminators: {(level, branch): module}; branches may share one.
      batch: as `msda_tf.methods.contract.Method` takes it, of NumPy arrays.
      feeds: for each source, the branches that it trains.
      branches: names of all branches.
      config: lambdas, objective and align_corners, as `msda_tf.config.TrainConfig` names them.

    Returns:
      ({name: loss}, {Torch name: generator gradient or None}, {(level, branch, parameter): discriminator gradient}).
    """
    seg_weights = dict(zip(LEVELS, (config.seg_weight_feature, config.seg_weight_output), strict=True))
    adv_weights = dict(zip(LEVELS, (config.adv_weight_feature, config.adv_weight_output), strict=True))
    parameter = network.conv1.weight

    def upsampled(maps, size):
        return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=config.align_corners)

    def domain_loss(answers, domain):
        wanted = torch.full_like(answers, domain)
        if config.gan == "lsgan":
            return functional.mse_loss(answers, wanted)
        return functional.binary_cross_entropy_with_logits(answers, wanted)

    def judge(level, branch, maps):
        return discriminators[level, branch](functional.softmax(maps, dim=1))

    losses, generator, discriminator = {}, 0.0, 0.0

    def count(name, value):
        losses[name] = losses.get(name, 0.0) + float(value.detach())

    for feed, source in zip(feeds, batch["sources"], strict=True):
        logits = network(images_tensor(source, parameter))
        labels = torch.from_numpy(source["label"].astype("int64"))
        for level, maps_of_level in zip(LEVELS, logits, strict=True):
            for branch in feed:
                maps = maps_of_level[branches.index(branch)]
                feeding = [s for f, s in zip(feeds, batch["sources"], strict=True) if branch in f]
                valid = sum(int((s["label"] != 255).sum()) for s in feeding)
                total = functional.cross_entropy(
                    upsampled(maps, labels.shape[1:]), labels, ignore_index=255, reduction="sum"
                )
                loss = total / max(valid, 1)
                generator = generator + seg_weights[level] * loss
                count(f"seg/{level}/{branch}", loss)
                answers = judge(level, branch, upsampled(maps, source["image"].shape[1:3]).detach())
                loss = domain_loss(answers, 1.0) / 2 / len(feeding)
                discriminator = discriminator + loss
                count(f"disc/{level}/{branch}", loss)
    logits = network(images_tensor(batch["target"], parameter))
    for level, maps_of_level in zip(LEVELS, logits, strict=True):
        for branch, maps in zip(branches, maps_of_level, strict=True):
            maps = upsampled(maps, batch["target"]["image"].shape[1:3])
            loss = domain_loss(judge(level, branch, maps), 1.0)
            generator = generator + adv_weights[level] * loss
            count(f"adv/{level}/{branch}", loss)
            loss = domain_loss(judge(level, branch, maps.detach()), 0.0) / 2
            discriminator = discriminator + loss
            count(f"disc/{level}/{branch}", loss)

    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(generator, parameters, allow_unused=True)
    generator_gradients = {n: None if g is None else g.numpy() for n, g in zip(names, gradients, strict=True)}
    keys, parameters = [], []
    for (level, branch), module in discriminators.items():
        for name, parameter in module.named_parameters():
            keys.append((level, branch, name))
            parameters.append(parameter)
    gradients = torch.autograd.grad(discriminator, parameters)
    return losses, generator_gradients, {key: g.numpy() for key, g in zip(keys, gradients, strict=True)}
