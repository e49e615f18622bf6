"""UNIT's networks and step in Torch, written from the paper and its published settings alone."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as f


class SampleNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        flat = x.reshape(x.shape[0], -1)
        mean, deviation = flat.mean(1), flat.std(1, unbiased=False)
        x = (x - mean[:, None, None, None]) / (deviation[:, None, None, None] + 1e-5)
        return x * self.gamma[None, :, None, None] + self.beta[None, :, None, None]


def conv(inputs, outputs, size, stride, pad):
    return nn.Conv2d(inputs, outputs, size, stride, pad, padding_mode="reflect")


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = conv(channels, channels, 3, 1, 1), conv(channels, channels, 3, 1, 1)

    def forward(self, x):
        y = f.relu(f.instance_norm(self.first(x)))
        return x + f.instance_norm(self.second(y))


class Encoder(nn.Module):
    def __init__(self, c, blocks):
        super().__init__()
        self.image, self.half_, self.quarter = conv(3, c, 7, 1, 3), conv(c, 2 * c, 4, 2, 1), conv(2 * c, 4 * c, 4, 2, 1)
        for number in range(blocks):
            self.add_module(f"block_{number}", Block(4 * c))
        self.blocks = blocks

    def forward(self, x):
        for layer in (self.image, self.half_, self.quarter):
            x = f.relu(f.instance_norm(layer(x)))
        for number in range(self.blocks):
            x = getattr(self, f"block_{number}")(x)
        return x


class Decoder(nn.Module):
    def __init__(self, c, blocks):
        super().__init__()
        for number in range(blocks):
            self.add_module(f"block_{number}", Block(4 * c))
        self.half_, self.half_norm = conv(4 * c, 2 * c, 5, 1, 2), SampleNorm(2 * c)
        self.whole, self.whole_norm = conv(2 * c, c, 5, 1, 2), SampleNorm(c)
        self.image, self.blocks = conv(c, 3, 7, 1, 3), blocks

    def forward(self, x):
        for number in range(self.blocks):
            x = getattr(self, f"block_{number}")(x)
        x = f.relu(self.half_norm(self.half_(f.interpolate(x, scale_factor=2, mode="nearest"))))
        x = f.relu(self.whole_norm(self.whole(f.interpolate(x, scale_factor=2, mode="nearest"))))
        return torch.tanh(self.image(x))


class Discriminator(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.smaller = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        for scale in range(3):
            inputs = 3
            for number in range(4):
                self.add_module(f"scale_{scale}_conv_{number}", conv(inputs, c * 2**number, 4, 2, 1))
                inputs = c * 2**number
            self.add_module(f"scale_{scale}_conv_4", nn.Conv2d(inputs, 1, 1))

    def forward(self, x):
        answers = []
        for scale in range(3):
            y = x
            for number in range(4):
                y = f.leaky_relu(getattr(self, f"scale_{scale}_conv_{number}")(y), 0.2)
            answers.append(getattr(self, f"scale_{scale}_conv_4")(y))
            x = self.smaller(x)
        return answers


class Unit(nn.Module):
    def __init__(self, channels, blocks, discriminator_channels):
        super().__init__()
        for domain in "ab":
            self.add_module(f"encoder_{domain}", Encoder(channels, blocks))
            self.add_module(f"decoder_{domain}", Decoder(channels, blocks))
            self.add_module(f"discriminator_{domain}", Discriminator(discriminator_channels))


def load(module: nn.Module, layer, *, dtype=torch.float32) -> nn.Module:
    """Copies the variables of a Keras layer whose attributes have the same names."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(values(layer, name)))
    return module.to(dtype)


def variable(layer, name: str):
    """The Keras variable that belongs to a Torch parameter's name."""
    *path, last = name.split(".")
    for part in path:
        # Torch has a method half.
        layer = getattr(layer, part.removesuffix("_"))
    return getattr(layer, {"weight": "kernel"}.get(last, last))


def values(layer, name: str) -> np.ndarray:
    """Its value in Torch's layout."""
    value = variable(layer, name).numpy()
    return value.transpose(3, 2, 0, 1).copy() if value.ndim == 4 else value


def nchw(array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array).transpose(0, 3, 1, 2).copy())


def nhwc(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def generator_terms(unit: Unit, a, b, noise: dict, *, features) -> dict[str, torch.Tensor]:
    """The terms of the autoencoders' loss without their weights; noise by "a", "b", "a again", "b again"."""
    images, terms = {"a": a, "b": b}, {}
    for own, other in ("ab", "ba"):
        encode, decode = getattr(unit, f"encoder_{own}"), getattr(unit, f"decoder_{own}")
        decode_other, encode_other = getattr(unit, f"decoder_{other}"), getattr(unit, f"encoder_{other}")
        code = encode(images[own])
        translation = decode_other(code + noise[own])
        again = encode_other(translation)
        terms[f"within/{own}"] = f.l1_loss(decode(code + noise[own]), images[own])
        terms[f"cycle/{own}"] = f.l1_loss(decode(again + noise[f"{own} again"]), images[own])
        terms[f"kl/{own}"] = (code**2).mean()
        terms[f"kl_cycle/{own}"] = (again**2).mean()
        answers = getattr(unit, f"discriminator_{other}")(translation)
        terms[f"adv/{own}"] = sum(((answer - 1) ** 2).mean() for answer in answers)
        normal = [f.instance_norm(features(picture)) for picture in (images[own], translation)]
        terms[f"perceptual/{own}"] = f.mse_loss(*normal)
    return terms


def discriminator_terms(unit: Unit, a, b, noise: dict) -> dict[str, torch.Tensor]:
    """The discriminators' losses."""
    images, terms = {"a": a, "b": b}, {}
    for own, other in ("ab", "ba"):
        with torch.no_grad():
            fake = getattr(unit, f"decoder_{own}")(getattr(unit, f"encoder_{other}")(images[other]) + noise[other])
        judge = getattr(unit, f"discriminator_{own}")
        terms[f"disc/{own}"] = sum(
            (fake_answer**2).mean() + ((real_answer - 1) ** 2).mean()
            for fake_answer, real_answer in zip(judge(fake), judge(images[own]), strict=True)
        )
    return terms
