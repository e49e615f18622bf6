"""ONNX and LiteRT files, run by their own runtimes."""

import unittest.mock

import networks
import numpy as np
import pytest
import seeded
import tensorflow as tf

from msda_tf.errors import MsdaError, UsageError
from msda_tf.inference.members import Inference, Member
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.serving import convert
from msda_tf.serving.model import Served, ServedModel


def photo(height, width, batch=1):
    return np.random.default_rng(height).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def member():
    segmenter = networks.small_segmenter(branches=("S1", "S2"), rates=(2,))
    networks.set_weights(segmenter, seeded.seeded_state(networks.torch_shapes(segmenter)))
    return Member(segmenter, {"S1": "S1", "S2": "S2"}, mean=(70.0, 80.0, 90.0))


def served_model(member, **options):
    return ServedModel(Inference([member]), CITYSCAPES_CLASSES, Served(**options))


def test_onnx_says_which_size_its_maps_have(member, tmp_path):
    """Strict inference of shapes, as other runtimes do it, finds what the file declares."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("tf2onnx")
    for size in ((70, 140), (65, 129)):
        model = served_model(member, size=size)
        convert.write("onnx", model, tmp_path / "model.onnx", size)
        onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)


def test_onnx_takes_any_size(member, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model = served_model(member, confidence=True)
    convert.write("onnx", model, tmp_path / "model.onnx", (33, 65))
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for size in ((33, 65), (64, 128), (1, 1), (40, 17)):
        images = photo(*size, batch=2)
        labels, confidence = session.run(["label_map", "confidence"], {"images": images})
        expected = model.signatures["serving_default"](images=tf.constant(images))
        assert labels.dtype == np.uint8 and labels.shape == (2, *size)
        assert (labels == expected["label_map"].numpy()).mean() > 0.99
        np.testing.assert_allclose(confidence, expected["confidence"], atol=1e-3)


def test_transformers_convert(tmp_path):
    """Their GELU needs an operation that ONNX lacks. `write` compares the file with the network."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    segmenter = MultiSourceSegmenter(branches=("S1",), backbone="mit-b0", decoder="mlp", discriminators="none")
    segmenter.create_variables()
    member = Member(segmenter, {"S1": "S1"}, mean=(70.0, 80.0, 90.0))
    size = (97, 65)
    convert.check("onnx", Inference([member]), Served(size=size))
    convert.write("onnx", served_model(member, size=size), tmp_path / "model.onnx", size)
    for refused in (None, (97, 63)):
        with pytest.raises(UsageError, match=r"transformers \(mit\) convert to onnx for images of one size, from 64"):
            convert.check("onnx", Inference([member]), Served(size=refused))


def test_what_its_runtime_refuses_is_one_line(member, tmp_path, monkeypatch):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    monkeypatch.setattr(runtime, "InferenceSession", unittest.mock.Mock(side_effect=RuntimeError("invalid\ngraph")))
    with pytest.raises(MsdaError, match="converted to onnx, but its runtime does not take it: invalid graph$"):
        convert.write("onnx", served_model(member, size=(9, 17)), tmp_path / "model.onnx", (9, 17))


@pytest.mark.parametrize("window", [None, (32, 32)])
def test_tflite_takes_one_size(member, tmp_path, window):
    member = Member(member.segmenter, member.branches, mean=member.mean, window=window)
    model = served_model(member, size=(33, 65))
    convert.write("tflite", model, tmp_path / "model.tflite", (33, 65))
    images = photo(33, 65)
    interpreter = tf.lite.Interpreter(model_path=str(tmp_path / "model.tflite"))
    labels = interpreter.get_signature_runner("serving_default")(images=images)["label_map"]
    assert labels.dtype == np.uint8 and labels.shape == (1, 33, 65)
    expected = model.signatures["serving_default"](images=tf.constant(images))["label_map"].numpy()
    assert (labels == expected).mean() > 0.99
    assert len(np.unique(expected)) > 3


def test_a_wrong_conversion_is_not_published(member, tmp_path, monkeypatch):
    model = served_model(member, size=(9, 17))
    converter = unittest.mock.Mock()
    converter.convert.return_value = b"model"
    interpreter = unittest.mock.Mock()
    interpreter.get_signature_runner.return_value = lambda images: {"label_map": np.zeros(images.shape[:3], np.uint8)}
    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_saved_model", lambda folder: converter)
    monkeypatch.setattr(tf.lite, "Interpreter", lambda model_path: interpreter)
    with pytest.raises(MsdaError, match="agrees with TensorFlow's on .* %"):
        convert.write("tflite", model, tmp_path / "model.tflite", (9, 17))

    converter.convert.side_effect = RuntimeError("no such op\nand more")
    with pytest.raises(MsdaError, match="cannot be converted to tflite: no such op$"):
        convert.write("tflite", model, tmp_path / "model.tflite", (9, 17))


def test_what_cannot_be_converted_is_said_before(member, monkeypatch):
    half = Member(member.segmenter, member.branches, mean=member.mean, scale=0.5)
    with pytest.raises(UsageError, match="no antialiased resize"):
        convert.check("onnx", Inference([half]), Served())
    with pytest.raises(UsageError, match="--size"):
        convert.check("tflite", Inference([member]), Served())
    with pytest.raises(UsageError, match="leave --store bfloat16 out"):
        convert.check("tflite", Inference([member]), Served(size=(9, 9)), store="bfloat16")
    windows = Member(member.segmenter, member.branches, mean=member.mean, window=(32, 48))
    with pytest.raises(UsageError, match="leave --window out"):
        convert.check("onnx", Inference([windows]), Served())
    monkeypatch.setitem(__import__("sys").modules, "tf2onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'msda-tf\[onnx\]'"):
        convert.check("onnx", Inference([member]), Served())
