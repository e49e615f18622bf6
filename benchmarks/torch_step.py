"""The same training step in plain PyTorch: what benchmarks/train_step.py compares with.

AdaptSegNet's step as a PyTorch user would extend it to several sources: DeepLabV2 on ResNet-101 with frozen BatchNorm,
one classifier for each branch at stages 3 and 4, one discriminator for each classifier, Adam. Nothing is left out or
done by hand that PyTorch does well: dilated `nn.Conv2d`, fused Adam, `torch.autocast`, `torch.compile`.
"""

import contextlib

import torch
from torch import nn
from torch.nn import functional

LEVELS = ("feature", "output")
SEG_WEIGHTS = {"feature": 0.1, "output": 1.0}
ADV_WEIGHTS = {"feature": 2e-4, "output": 1e-3}
BLOCKS, PLANES, STRIDES, DILATIONS = (3, 4, 23, 3), (64, 128, 256, 512), (1, 2, 1, 1), (1, 1, 2, 4)


class Bottleneck(nn.Module):
    """1x1 (with the stride) - 3x3 (with the dilation) - 1x1, plus the shortcut."""

    def __init__(self, channels: int, planes: int, stride: int, dilation: int, project: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if project:
            convolution = nn.Conv2d(channels, 4 * planes, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(4 * planes))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Classifier(nn.Module):
    """Four dilated convolutions, summed."""

    def __init__(self, channels: int, classes: int, rates: tuple[int, ...] = (6, 12, 18, 24)):
        super().__init__()
        self.rates = nn.ModuleList(nn.Conv2d(channels, classes, 3, padding=rate, dilation=rate) for rate in rates)

    def forward(self, x):
        return sum(convolution(x) for convolution in self.rates)


class DeepLab(nn.Module):
    """Images `[B, 3, H, W]` to logits `{level: {branch: [B, C, h, w]}}` of the asked branches."""

    def __init__(self, branches: tuple[str, ...], classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        channels, stages = 64, []
        for blocks, planes, stride, dilation in zip(BLOCKS, PLANES, STRIDES, DILATIONS, strict=True):
            stage = [Bottleneck(channels, planes, stride, dilation, project=True)]
            channels = 4 * planes
            stage += [Bottleneck(channels, planes, 1, dilation, project=False) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*stage))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.heads = nn.ModuleDict({
            level: nn.ModuleDict({branch: Classifier(width, classes) for branch in branches})
            for level, width in (("feature", 1024), ("output", 2048))
        })  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)

    def train(self, mode: bool = True):
        """BatchNorm stays as pretrained."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x, branches: tuple[str, ...]):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        feature = self.layer3(self.layer2(self.layer1(x)))
        maps = {"feature": feature, "output": self.layer4(feature)}
        return {level: {branch: self.heads[level][branch](maps[level]) for branch in branches} for level in LEVELS}


def discriminator(classes: int, width: int = 64) -> nn.Sequential:
    """Five 4x4 convolutions of stride 2, LeakyReLU 0.2 between."""
    layers, channels = [], classes
    for out in (width, 2 * width, 4 * width, 8 * width, 1):
        layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        channels = out
    return nn.Sequential(*layers[:-1])


def upsample(maps, size):
    """Bilinear, in float32."""
    return functional.interpolate(maps.float(), size=tuple(size), mode="bilinear", align_corners=True)


class TorchStep:
    """One step on `feeds` (for each source, the branches that it trains) and a target.

    Args:
      feeds: as `msda_tf.methods.adversarial.Adversarial`.
      classes: C.
      device: "cpu" or "cuda".
      bfloat16: autocast of the networks.
      compiled: `torch.compile` of network and discriminators.
      channels_last: memory format of images and kernels.
    """

    def __init__(self, *, feeds, classes: int, device: str, bfloat16: bool, compiled: bool, channels_last: bool):
        self.feeds, self.device, self.bfloat16 = feeds, device, bfloat16
        self.branches = tuple(dict.fromkeys(branch for feed in feeds for branch in feed))
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.network = DeepLab(self.branches, classes).to(device, memory_format=self.format).train()
        self.discriminators = nn.ModuleDict({
            level: nn.ModuleDict({branch: discriminator(classes) for branch in self.branches}) for level in LEVELS
        }).to(device, memory_format=self.format)  # fmt: skip
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        groups = [
            {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": 5e-4},
            {"params": [parameter for parameter in trained if parameter.ndim == 1]},
        ]
        self.network_optimizer = torch.optim.Adam(groups, lr=1e-4, fused=True)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminators.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True
        )
        self.forward = torch.compile(self.network) if compiled else self.network
        self.judges = {
            (level, branch): torch.compile(judge) if compiled else judge
            for level, judges in self.discriminators.items()
            for branch, judge in judges.items()
        }

    def load(self, state: dict) -> None:
        """Sets all weights from NumPy arrays named `network.*` and `discriminators.*`."""
        for name in ("network", "discriminators"):
            module, tensors = getattr(self, name), {}
            for key, value in state.items():
                if key.startswith(f"{name}."):
                    tensors[key.removeprefix(f"{name}.")] = torch.from_numpy(value)
            missing, unexpected = module.load_state_dict(tensors, strict=False)
            assert not unexpected and all(key.endswith("num_batches_tracked") for key in missing), (missing, unexpected)

    def image(self, images: dict):
        """The centred image `[B, 3, H, W]` on the device."""
        image = torch.from_numpy(images["image"]).to(self.device).permute(0, 3, 1, 2).float()
        mean = torch.from_numpy(images["mean"]).to(self.device)[:, None, None]
        return (image - mean).contiguous(memory_format=self.format)

    def domain_loss(self, level: str, branch: str, maps, domain: float):
        """Cross-entropy of a discriminator's answers to softmax maps."""
        with self._autocast():
            answers = self.judges[level, branch](maps)
        answers = answers.float()
        return functional.binary_cross_entropy_with_logits(answers, torch.full_like(answers, domain))

    def __call__(self, batch: dict) -> dict[str, float]:
        """Runs one step on a batch of NumPy arrays, and gives the losses at the weights before it."""
        self.network_optimizer.zero_grad(set_to_none=True)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        losses, source_maps, target_maps = {}, [], []

        def count(kind, level, branch, value):
            losses[f"{kind}/{level}/{branch}"] = losses.get(f"{kind}/{level}/{branch}", 0.0) + value.detach()

        # The network: segmentation of every source, then the target's maps against frozen discriminators.
        self.discriminators.requires_grad_(False)
        labels = [torch.from_numpy(source["label"]).to(self.device).long() for source in batch["sources"]]
        valid = {
            branch: sum((label != 255).sum() for feed, label in zip(self.feeds, labels, strict=True) if branch in feed)
            for branch in self.branches
        }
        for feed, source, label in zip(self.feeds, batch["sources"], labels, strict=True):
            with self._autocast():
                logits = self.forward(self.image(source), feed)
            total = 0.0
            for level in LEVELS:
                for branch in feed:
                    maps = upsample(logits[level][branch], label.shape[1:])
                    loss = functional.cross_entropy(maps, label, ignore_index=255, reduction="sum") / valid[branch]
                    total = total + SEG_WEIGHTS[level] * loss
                    count("seg", level, branch, loss)
                    source_maps.append((level, branch, maps.detach()))
            total.backward()
        with self._autocast():
            logits = self.forward(self.image(batch["target"]), self.branches)
        total = 0.0
        for level in LEVELS:
            for branch in self.branches:
                maps = functional.softmax(upsample(logits[level][branch], batch["target"]["image"].shape[1:3]), dim=1)
                loss = self.domain_loss(level, branch, maps, 1.0)
                total = total + ADV_WEIGHTS[level] * loss
                count("adv", level, branch, loss)
                target_maps.append((level, branch, maps.detach()))
        total.backward()

        # The discriminators, on stopped maps.
        self.discriminators.requires_grad_(True)
        fed = {branch: sum(branch in feed for feed in self.feeds) for branch in self.branches}
        for level, branch, maps in source_maps:
            loss = self.domain_loss(level, branch, functional.softmax(maps, dim=1), 1.0) / 2 / fed[branch]
            loss.backward()
            count("disc", level, branch, loss)
        for level, branch, maps in target_maps:
            loss = self.domain_loss(level, branch, maps, 0.0) / 2
            loss.backward()
            count("disc", level, branch, loss)
        self.network_optimizer.step()
        self.discriminator_optimizer.step()
        return {name: float(value) for name, value in losses.items()}

    def _autocast(self):
        if not self.bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)
