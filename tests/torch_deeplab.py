"""The reference network: DeepLabV2 with bottlenecks, and its discriminator, from plain Torch layers.

Attribute names are those of the public checkpoints (`layer3.0.downsample.1.running_var`,
`layer5.conv2d_list.2.weight`), so that a state dict of this network is a file as users have them.
"""

import torch
from torch import nn

# More threads than this, beside TensorFlow's, mostly wait for each other.
torch.set_num_threads(1)


class Bottleneck(nn.Module):
    def __init__(self, channels, planes, *, out, stride, dilation, project, stride_on_3x3):
        super().__init__()
        first, second = (1, stride) if stride_on_3x3 else (stride, 1)
        self.conv1 = nn.Conv2d(channels, planes, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=second, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        if project:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Classifier(nn.Module):
    def __init__(self, channels, classes, rates, used):
        super().__init__()
        self.conv2d_list = nn.ModuleList(nn.Conv2d(channels, classes, 3, padding=rate, dilation=rate) for rate in rates)
        self.used = used

    def forward(self, x):
        return sum(convolution(x) for convolution in list(self.conv2d_list)[: self.used])


class DeepLab(nn.Module):
    """Maps images `[B, 3, H, W]` to [feature logits of every branch], [output logits of every branch].

    Args:
      depth: blocks, planes, stem, expansion and pool, as `msda_tf.models.backbones.atrous_resnet.Depth` names them.
      classes: of the heads; 0 for no heads.
      branches: pairs of heads; the first is `layer5` and `layer6`, the next `layer5_1` and `layer6_1`, ...
      rates: of the convolutions that a head has.
      used: how many of them it sums (AdaptSegNet's code sums two of four).
      dilated: False for an ImageNet network of output stride 32.
      stride_on_3x3: True for torchvision's ResNet.
      fc: outputs of the ImageNet classifier, 0 for none.
    """

    def __init__(
        self,
        depth,
        *,
        classes=19,
        branches=1,
        rates=(6, 12, 18, 24),
        used=4,
        dilated=True,
        stride_on_3x3=False,
        fc=0,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, depth.stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(depth.stem)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True) if depth.pool else nn.Identity()
        strides, dilations = ((1, 2, 1, 1), (1, 1, 2, 4)) if dilated else ((1, 2, 2, 2), (1, 1, 1, 1))
        channels = depth.stem
        for stage in range(4):
            planes, out = depth.planes[stage], depth.planes[stage] * depth.expansion
            blocks = []
            for block in range(depth.blocks[stage]):
                blocks.append(
                    Bottleneck(
                        channels,
                        planes,
                        out=out,
                        stride=strides[stage] if block == 0 else 1,
                        dilation=dilations[stage],
                        project=block == 0,
                        stride_on_3x3=stride_on_3x3,
                    )
                )
                channels = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        widths = {"layer5": depth.planes[2] * depth.expansion, "layer6": depth.planes[3] * depth.expansion}
        self.heads = []
        for level, width in widths.items() if classes else ():
            names = [level + (f"_{number}" if number else "") for number in range(branches)]
            for name in names:
                setattr(self, name, Classifier(width, classes, rates, used))
            self.heads.append(names)
        if fc:
            self.fc = nn.Linear(channels, fc)

    def features(self, x):
        """The maps of stage 3 and stage 4."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        third = self.layer3(self.layer2(self.layer1(x)))
        return third, self.layer4(third)

    def forward(self, x):
        maps = self.features(x)
        return [[getattr(self, name)(x) for name in names] for x, names in zip(maps, self.heads, strict=True)]


def discriminator(classes, width=64):
    """Five 4x4 convolutions of stride 2, LeakyReLU 0.2 between."""
    widths = [classes, width, 2 * width, 4 * width, 8 * width, 1]
    layers = []
    for channels, out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def load_numpy(module, state):
    """Sets a module's parameters and buffers from NumPy arrays, all but `num_batches_tracked`."""
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    missing, unexpected = module.load_state_dict(tensors, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    return module.eval()
