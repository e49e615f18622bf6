"""Torch files, by running Torch's network and this project's on the same photograph."""

import numpy as np
import pytest
from networks import SMALL, relative_error, small_segmenter
from seeded import seeded, seeded_image, seeded_state

from msda_tf import weights
from msda_tf.errors import UsageError
from msda_tf.weights.resnet.torch_resnet import TORCHVISION_STD

torch = pytest.importorskip("torch")

import torch_deeplab  # noqa: E402

CLASSES = 5
MEAN_RGB = np.array([122.67891434, 116.66876762, 104.00698793], np.float32)
"""What AdaptSegNet subtracts."""
TORCHVISION_MEAN = np.array([0.485, 0.456, 0.406], np.float32)


def photograph(height=33, width=65):
    """RGB, 0-255."""
    return np.clip(seeded_image("photograph", height, width) + 115, 0, 255)


def deeplab(**options):
    """Torch's network with random weights, and its state dict."""
    network = torch_deeplab.DeepLab(SMALL, **{"classes": CLASSES, **options})
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    torch_deeplab.load_numpy(network, seeded_state(shapes))
    return network, network.state_dict()


def run_torch(function, images):
    with torch.no_grad():
        return function(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))))


def nhwc(tensor):
    return tensor.numpy().transpose(0, 2, 3, 1)


def segmenter(**options):
    return small_segmenter(**{"num_classes": CLASSES, "branches": ("S1", "S2"), **options})


def snapshot(tmp_path, state, prefix=""):
    path = tmp_path / "GTA5_100000.pth"
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return str(path)


def check_logits(ours, expected, tolerance=1e-5):
    """Every branch gives Torch's logits of both levels, RGB here and BGR there."""
    logits = ours(photograph() - MEAN_RGB)
    for level, own in zip(("feature", "output"), expected, strict=True):
        for branch in ours.branches:
            assert relative_error(logits[level][branch], nhwc(own[0])) < tolerance


def bgr(images):
    return (images - MEAN_RGB)[..., ::-1]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_adaptsegnet_snapshot(tmp_path, prefix):
    network, state = deeplab()
    ours = segmenter()
    report = weights.initialize(ours, snapshot(tmp_path, state, prefix))
    check_logits(ours, run_torch(network, bgr(photograph())))
    assert (report.kind, report.unused, report.missing, report.notes) == ("AdaptSegNet snapshot", (), (), ())
    how = {match.variable: match.how for match in report.matched}
    assert how["backbone/conv1/kernel"] == "folded"
    assert how["backbone/layer3_2/conv2/kernel"] == how["output/S2/kernel_3"] == "transposed"
    assert how["backbone/layer4_0/downsample_bn/moving_variance"] == "copied"


def test_the_discriminators_of_the_network_are_missing_and_stay_as_they_are(tmp_path):
    _, state = deeplab()
    ours = segmenter(discriminators="branch", discriminator_width=2)
    before = [variable.numpy() for variable in ours.discriminator_variables]
    report = weights.initialize(ours, snapshot(tmp_path, state))
    assert report.share("discriminators") == (0, 40)
    assert report.share("classifiers") == (32, 32)
    assert all(name.split("/")[1].startswith("discriminator_") for name in report.missing)
    for variable, value in zip(ours.discriminator_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_snapshot_whose_code_sums_two_of_four_convolutions(tmp_path):
    """AdaptSegNet returns from inside the loop: the last two convolutions stay random, and must not be summed here."""
    network, state = deeplab(used=2)
    for level in ("layer5", "layer6"):
        for number in (2, 3):
            name = f"{level}.conv2d_list.{number}.weight"
            state[name] = torch.from_numpy(seeded(name, tuple(state[name].shape)) * 0.01)
    path = snapshot(tmp_path, state)
    expected = run_torch(network, bgr(photograph()))
    for rates in ((6, 12, 18, 24), (6, 12)):
        ours = segmenter(rates=rates)
        report = weights.initialize(ours, path)
        check_logits(ours, expected)
        assert len([note for note in report.notes if "AdaptSegNet's code never reaches them" in note]) == 2
        assert len(report.unused) == (0 if len(rates) == 4 else 8)


def test_snapshot_with_one_head_on_stage_4(tmp_path):
    network, state = deeplab()
    state = {name.replace("layer6", "layer5"): v for name, v in state.items() if not name.startswith("layer5")}
    ours = segmenter()
    report = weights.initialize(ours, snapshot(tmp_path, state))
    logits = ours(photograph() - MEAN_RGB)
    expected = run_torch(network, bgr(photograph()))[1][0]
    assert relative_error(logits["output"]["S1"], nhwc(expected)) < 1e-5
    assert {name.split("/")[0] for name in report.missing} == {"feature"}


def test_snapshot_with_another_number_of_classes_gives_its_backbone(tmp_path):
    network, state = deeplab(classes=7)
    ours = segmenter()
    heads = [variable.numpy() for variable in ours.head_variables]
    report = weights.initialize(ours, snapshot(tmp_path, state))
    maps = ours.backbone(photograph() - MEAN_RGB)[2:]
    for own, theirs in zip(maps, run_torch(network.features, bgr(photograph())), strict=True):
        assert relative_error(own, nhwc(theirs)) < 1e-5
    assert "its classifiers have 7 classes, this network has 5" in report.notes[0]
    assert len(report.unused) == 16
    for variable, value in zip(ours.head_variables, heads, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_deeplabs_starting_weights(tmp_path):
    """`DeepLab_resnet_pretrained_init`: keys under `Scale.`, and a head of stage 4 for other classes named layer5."""
    network, state = deeplab()
    state = {name.replace("layer6", "layer5"): v for name, v in state.items() if not name.startswith("layer5")}
    state = {name: v for name, v in state.items() if not name.endswith("num_batches_tracked")}
    path = tmp_path / "DeepLab_resnet_pretrained_init-f81d91e8.pth"
    torch.save({f"Scale.{name}": value for name, value in state.items()}, path, _use_new_zipfile_serialization=False)
    ours = segmenter()
    report = weights.initialize(ours, str(path))
    maps = ours.backbone(photograph() - MEAN_RGB)[2:]
    for own, theirs in zip(maps, run_torch(network.features, bgr(photograph())), strict=True):
        assert relative_error(own, nhwc(theirs)) < 1e-5
    assert report.kind == "DeepLab starting weights"
    assert report.backbone_share == 1
    assert report.share("classifiers")[0] == 0
    assert sorted(report.unused) == sorted(
        f"Scale.layer5.conv2d_list.{number}.{tensor}" for number in range(4) for tensor in ("weight", "bias")
    )


@pytest.mark.parametrize("form", ["torchvision", "half", "wrapped", "deeplabv3"])
def test_torchvision(tmp_path, form):
    """Its network, with the strides and dilations of this project's, fed with 0-1 images as torchvision feeds them."""
    network, state = deeplab(classes=0, fc=10)
    assert "fc.weight" in state
    path = tmp_path / "resnet101-63fe2227.pth"
    if form == "half":
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
        network.load_state_dict(state)
    if form == "deeplabv3":
        state = {f"backbone.{name}": value for name, value in state.items() if not name.startswith("fc")}
        state |= {"classifier.4.weight": torch.zeros(21, 256, 1, 1), "aux_classifier.4.bias": torch.zeros(21)}
    torch.save({"state_dict": state, "epoch": 3} if form == "wrapped" else state, path)
    ours = segmenter()
    report = weights.initialize(ours, str(path))
    maps = ours.backbone(photograph() - 255 * TORCHVISION_MEAN)[2:]
    standard = (photograph() / 255 - TORCHVISION_MEAN) / np.array(TORCHVISION_STD, np.float32)
    for own, theirs in zip(maps, run_torch(network.features, standard), strict=True):
        assert relative_error(own, nhwc(theirs)) < 1e-4
    assert report.kind == "torchvision ResNet"
    assert report.backbone_share == 1
    unused = {"classifier.4.weight", "aux_classifier.4.bias"} if form == "deeplabv3" else {"fc.weight", "fc.bias"}
    assert set(report.unused) == unused
    assert "stride sits on the 3x3" in report.notes[0]


def test_full_size_torchvision_names():
    """The reference network at full size has the tensors of torchvision's resnet101, by number, size and name."""
    from msda_tf.models.backbones.atrous_resnet import DEPTHS

    with torch.device("meta"):
        state = torch_deeplab.DeepLab(DEPTHS["resnet101"], classes=0, fc=1000).state_dict()
    assert len(state) == 626
    assert (
        sum(value.numel() for name, value in state.items() if "running" not in name and "num" not in name) == 44_549_160
    )
    assert tuple(state["layer3.22.bn3.running_var"].shape) == (1024,)


def test_basic_blocks_are_refused(tmp_path):
    state = {"conv1.weight": torch.zeros(64, 3, 7, 7), "layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}
    with pytest.raises(UsageError, match=r"basic blocks \(18 or 34\)"):
        weights.initialize(segmenter(), snapshot(tmp_path, state))


def test_a_bare_backbone_does_not_tell_its_input(tmp_path):
    _, state = deeplab(classes=0)
    with pytest.raises(UsageError, match="does not tell which images it expects"):
        weights.initialize(segmenter(), snapshot(tmp_path, state))


def test_discriminator_file_is_no_resnet(tmp_path):
    state = torch_deeplab.discriminator(CLASSES, 4).state_dict()
    with pytest.raises(UsageError, match="holds no ResNet"):
        weights.initialize(segmenter(), snapshot(tmp_path, state))
