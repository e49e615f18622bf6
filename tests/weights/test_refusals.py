"""Files that are not what they should be: one line each, and the network stays as it was."""

import io
import os

import h5py
import keras
import numpy as np
import pytest
import rich.console
from keras_resnet_files import randomize, small_resnet
from networks import SMALL, small_segmenter

from msda_tf import weights
from msda_tf.errors import MsdaError, UsageError
from msda_tf.models.backbones.atrous_resnet import DEPTHS, Depth
from msda_tf.weights.resnet import imagenet


@pytest.fixture(scope="module")
def segmenter():
    return small_segmenter()


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "small.weights.h5"
    randomize(small_resnet(SMALL, dilated=False)).save_weights(path)
    return path


def refused(segmenter, path, error, pattern, **options):
    """The import fails with one line that names the file, and changes nothing."""
    before = [variable.numpy() for variable in segmenter.variables]
    with pytest.raises(error, match=pattern) as caught:
        weights.initialize(segmenter, str(path), **options)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    for variable, value in zip(segmenter.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_no_such_file(segmenter, tmp_path):
    refused(segmenter, tmp_path / "absent.pth", UsageError, "no such file: .*; init is imagenet, none, a file")


def test_a_file_that_no_network_needs_is_refused_unread(segmenter, tmp_path):
    (tmp_path / "sparse.safetensors").touch()
    os.truncate(tmp_path / "sparse.safetensors", 2**42)
    refused(segmenter, tmp_path / "sparse.safetensors", UsageError, "has 4398.0 GB, a file of weights for this network")


@pytest.mark.parametrize(("content", "pattern"), [
    (b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>", "is a web page, not weights"),
    (b"\n  <html>", "is a web page, not weights"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "is a Git LFS pointer"),
    (b"", "is damaged or no weights"),
    (b"plain text", "is damaged or no weights"),
    (b"\x89HDF\r\n\x1a\n" + bytes(100), "is damaged"),
])  # fmt: skip
def test_other_content(segmenter, tmp_path, content, pattern):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    refused(segmenter, path, MsdaError, pattern)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_truncated_keras_file(segmenter, keras_file, tmp_path, kept):
    path = tmp_path / "short.h5"
    content = keras_file.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(segmenter, path, MsdaError, "is damaged")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.0005, 0.3, 0.9])
def test_truncated_torch_file(segmenter, tmp_path, legacy, kept):
    torch = pytest.importorskip("torch")
    path = tmp_path / "short.pth"
    torch.save({"conv1.weight": torch.zeros(500, 500)}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(segmenter, path, MsdaError, "is damaged or no Torch file")


def test_python_objects_in_a_torch_file_are_not_run(segmenter, tmp_path):
    torch = pytest.importorskip("torch")
    path, trace = tmp_path / "model.pth", tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return open, (str(trace), "w")

    torch.save({"conv1.weight": Evil()}, path)
    refused(segmenter, path, MsdaError, r"holds Python objects beside its tensors \(\w+.open\)")
    assert not trace.exists()


def test_torch_file_without_state_dict(segmenter, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "tensor.pth"
    torch.save([torch.zeros(3)], path)
    refused(segmenter, path, UsageError, "holds no state dict but a list")


def test_other_depth(segmenter, tmp_path):
    path = tmp_path / "resnet101.h5"
    with h5py.File(path, "w") as file:
        for stage, blocks in enumerate((3, 4, 23, 3)):
            for layer in (f"conv{stage + 2}_block{block + 1}_1_conv" for block in range(blocks)):
                group = file.create_group(layer)
                group.attrs["weight_names"] = [f"{layer}/kernel:0".encode()]
                group[f"{layer}/kernel:0"] = np.zeros((1, 1, 1, 1))
    pattern = r"holds a ResNet of 3, 4, 23, 3 blocks \(resnet101\), this network's has 1, 2, 3, 2: choose the other"
    refused(segmenter, path, UsageError, pattern)


def test_other_width(keras_file):
    other = small_segmenter(backbone=Depth(blocks=SMALL.blocks, planes=(4, 4, 4, 4), stem=8))
    pattern = (
        r"covers 5 of 145 variables of the backbone, 90% are needed \(conv2_block1_1_bn/gamma is \[8\], .* \[4\]\)"
    )
    refused(other, keras_file, UsageError, pattern)


def test_most_of_a_backbone_is_enough_and_less_is_not(segmenter, keras_file, tmp_path):
    """Layers are taken out of a file one after the other."""
    total = sum(v.path.split("/")[1] == "backbone" for v in segmenter.variables)

    def without(count):
        path = tmp_path / f"without-{count}.weights.h5"
        path.write_bytes(keras_file.read_bytes())
        with h5py.File(path, "r+") as file:
            names = sorted(name for name in file["layers"] if name.startswith("batch_normalization"))
            for name in names[:count]:
                del file["layers"][name]
        return path

    enough = int(total * 0.1 / 4)
    report = weights.initialize(segmenter, str(without(enough)))
    assert 0.9 <= report.backbone_share < 1
    assert len(report.missing) == enough * 4 + 16
    short = without(enough + 1)
    refused(segmenter, short, UsageError, f"covers {total - 4 * (enough + 1)} of {total} variables.*init_partial=true")
    report = weights.initialize(segmenter, str(short), allow_partial=True)
    assert report.backbone_share < 0.9


def test_report(keras_file):
    segmenter = small_segmenter()
    report = weights.initialize(segmenter, str(keras_file))
    line = str(report)
    assert "\n" not in line and str(keras_file) in line and "keras.applications ResNet" in line
    matched, total = report.share("backbone")
    assert f"backbone {matched}/{total}" in line and "classifiers 0/16" in line
    assert len(report.matched) + len(report.missing) == len(segmenter.variables)
    assert any(match.how != "copied" for match in report.matched)
    console = rich.console.Console(width=160, record=True, file=io.StringIO())
    console.print(report)
    text = console.export_text()
    assert "feature/S1/kernel_0" in text and "and 10 more" in text
    row = next(line for line in text.splitlines() if "backbone" in line and "/" not in line)
    numbers = [int(word) for word in row.replace("│", " ").replace("┃", " ").split()[1:]]
    assert sum(numbers[:4]) == numbers[4] == total


def test_imagenet_has_no_weights_for_other_backbones(segmenter):
    with pytest.raises(UsageError, match="no ImageNet weights for this backbone, only for resnet50 and resnet101"):
        weights.initialize(segmenter, "imagenet")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


def test_imagenet_without_network(cache, monkeypatch):
    def fail(*args, **kwargs):
        raise Exception("URL fetch failure on https://...: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(MsdaError) as caught:
        imagenet.file(DEPTHS["resnet101"])
    message = str(caught.value)
    assert "([Errno -2] Name or service not known)" in message and "\n" not in message
    assert str(cache / "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5") in message
    assert "https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet101_weights" in message


def test_imagenet_from_the_cache(cache, monkeypatch, keras_file):
    """The whole way, with a small network in the place of ResNet-101."""
    import hashlib

    content = keras_file.read_bytes()
    monkeypatch.setitem(DEPTHS, "resnet101", SMALL)
    monkeypatch.setitem(imagenet.FILES, "resnet101", ("file.h5", hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(keras.utils, "get_file", None)  # no download is tried
    cache.mkdir(parents=True)
    (cache / "file.h5").write_bytes(content)
    report = weights.initialize(small_segmenter(), "imagenet")
    assert report.backbone_share == 1 and report.source == str(cache / "file.h5")
    (cache / "file.h5").write_bytes(content[:-1])
    with pytest.raises(MsdaError, match="file.h5 is damaged .*: delete it and get https://"):
        weights.initialize(small_segmenter(), "imagenet")
    assert (cache / "file.h5").exists()


def test_imagenet_files_are_those_of_keras():
    from keras.src.applications import resnet

    assert resnet.BASE_WEIGHTS_PATH == imagenet.URL
    for name, (file, md5) in imagenet.FILES.items():
        assert file == f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        assert md5 == resnet.WEIGHTS_HASHES[name][1]
