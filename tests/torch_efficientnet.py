"""The reference network: EfficientNet-Lite from plain Torch layers, with the attribute names of the published files."""

import torch
from torch import nn
from torch.nn import functional

# More threads than this, beside TensorFlow's, mostly wait for each other.
torch.set_num_threads(1)

EPSILON = 1e-3


class Convolution(nn.Conv2d):
    """Without bias, padded as TensorFlow does: an odd pixel of padding goes below and to the right."""

    def __init__(self, channels, out, kernel, stride=1, groups=1):
        super().__init__(channels, out, kernel, stride, groups=groups, bias=False)

    def forward(self, x):
        padding = []
        for size in reversed(x.shape[-2:]):
            total = max((-(-size // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, padding))


class Block(nn.Module):
    def __init__(self, channels, stage, stride):
        super().__init__()
        inner = channels * stage.expansion
        self.expand = stage.expansion != 1
        if self.expand:
            self._expand_conv = Convolution(channels, inner, 1)
            self._bn0 = nn.BatchNorm2d(inner, EPSILON)
        self._depthwise_conv = Convolution(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2d(inner, EPSILON)
        self._project_conv = Convolution(inner, stage.channels, 1)
        self._bn2 = nn.BatchNorm2d(stage.channels, EPSILON)
        self.shortcut = stride == 1 and channels == stage.channels

    def forward(self, x):
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """Maps `(RGB - 127) / 128`, `[B, 3, H, W]`, to logits of 1000 classes.

    Args:
      stages: each with repeats, kernel, stride, expansion and channels.
      head: channels of the last convolution.
      classes: of the classifier.
    """

    def __init__(self, stages, *, head=1280, classes=1000):
        super().__init__()
        self._conv_stem = Convolution(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, EPSILON)
        blocks, channels, self.ends = [], 32, []
        for stage in stages:
            for number in range(stage.repeats):
                blocks.append(Block(channels, stage, stage.stride if number == 0 else 1))
                channels = stage.channels
            self.ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = Convolution(channels, head, 1)
        self._bn1 = nn.BatchNorm2d(head, EPSILON)
        self._fc = nn.Linear(head, classes)

    def maps(self, x):
        """The outputs of stages 2, 3, 5 and 7."""
        x, maps = functional.relu6(self._bn0(self._conv_stem(x))), []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in (self.ends[1], self.ends[2], self.ends[4], self.ends[6]):
                maps.append(x)
        return maps

    def classify(self, last_map):
        """Logits of the last map."""
        x = functional.relu6(self._bn1(self._conv_head(last_map)))
        return self._fc(x.mean(dim=(2, 3)))

    def forward(self, x):
        return self.classify(self.maps(x)[-1])
