"""Other formats than SavedModel, for runtimes without TensorFlow: ONNX and LiteRT (TFLite).

Both hold one function, `images` uint8 `[B, H, W, 3]` to the outputs, without the checks and without `serving_bytes`.
LiteRT takes images of one size only, and so does ONNX of transformers, of 64 pixels or more. Neither knows the
antialiased resize, so the networks must see images at their own size. What is converted is run and compared with
TensorFlow before it is published.
"""

import contextlib
import io
import pathlib
import tempfile
import warnings

import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError, UsageError
from msda_tf.inference.members import Inference
from msda_tf.serving.model import Served, ServedModel

FILE_NAMES = {"onnx": "model.onnx", "tflite": "model.tflite"}

# Other libraries round otherwise: pixels where two classes are all but equal may differ.
_LEAST_AGREEMENT = 0.995
_ONNX_OPSET = 18
# Families whose attention the converter gets wrong for any number of cells (or for a single row of them).
_OF_ONE_SIZE = ("mit", "dinov2")
_LEAST_SIDE = 64


def check(kind: str, inference: Inference, served: Served, *, store: str = "float32") -> None:
    """Raises UsageError if a model cannot be converted, or the packages for it are not installed."""
    if store != "float32":
        raise UsageError(f"{kind} converts kernels back to float32: leave --store {store} out")
    if any(member.scale != 1.0 or member.size is not None for member in inference.members):
        raise UsageError(
            f"{kind} has no antialiased resize: export networks that see images at their own size (scale 1)"
        )
    if kind == "tflite" and served.size is None:
        raise UsageError("tflite needs images of one size: name it with --size WIDTHxHEIGHT")
    if kind == "onnx" and any(member.window for member in inference.members):
        raise UsageError(
            "onnx's runtime knows no dilated convolutions in a loop, as images in windows need: leave --window out, or "
            "set window to null in the run's config.yaml; tflite takes them"
        )
    families = {member.segmenter.backbone.family for member in inference.members}
    if kind == "onnx" and families & set(_OF_ONE_SIZE) and (served.size is None or min(served.size) < _LEAST_SIDE):
        raise UsageError(
            f"transformers ({', '.join(sorted(families))}) convert to onnx for images of one size, from {_LEAST_SIDE} "
            "pixels: name it with --size WIDTHxHEIGHT"
        )
    if kind == "onnx":
        try:
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
        except ImportError:
            raise UsageError("onnx needs tf2onnx and onnxruntime: pip install 'msda-tf[onnx]'") from None


def write(kind: str, model: ServedModel, path: pathlib.Path, size: tuple[int, int]) -> None:
    """Converts a model and compares the result with it on an image of (height, width).

    Raises:
      MsdaError: it cannot be converted, or gives something else.
    """
    try:
        # The converters print progress and warnings.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            function = model.convertible()
            content = {"onnx": _to_onnx, "tflite": _to_tflite}[kind](function)
    except Exception as error:  # theirs are of any kind
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise MsdaError(f"the model cannot be converted to {kind}: {reason}") from None
    path.write_bytes(content)
    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    expected = function(tf.constant(image))["label_map"].numpy()
    try:
        found = {"onnx": _run_onnx, "tflite": _run_tflite}[kind](path, image)["label_map"]
    except Exception as error:  # theirs are of any kind, too
        reason = " ".join(str(error).split())[:300]
        raise MsdaError(f"the model was converted to {kind}, but its runtime does not take it: {reason}") from None
    agreement = (found == expected).mean() if found.shape == expected.shape else 0.0
    if agreement < _LEAST_AGREEMENT:
        raise MsdaError(f"the model in {kind} agrees with TensorFlow's on {100 * agreement:.1f} % of the pixels only")


def _to_onnx(function) -> bytes:
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=_ONNX_OPSET)
    for node in model.graph.node:
        _pad_explicitly(node)
        _round_up_scales(node, model.graph)
    _without_erfc(model.graph)
    return model.SerializeToString()


def _pad_explicitly(node) -> None:
    """Gives an atrous convolution numbers for its padding: runtimes refuse SAME where there is a dilation."""
    import onnx

    attributes = {attribute.name: attribute for attribute in node.attribute}
    dilations = list(attributes["dilations"].ints) if "dilations" in attributes else [1, 1]
    if node.op_type != "Conv" or "auto_pad" not in attributes or dilations == [1, 1]:
        return
    kernel = attributes["kernel_shape"].ints
    pads = [rate * (side // 2) for rate, side in zip(dilations, kernel, strict=True)]
    node.attribute.remove(attributes["auto_pad"])
    node.attribute.append(onnx.helper.make_attribute("pads", pads * 2))


def _round_up_scales(node, graph) -> None:
    """Gives a resize scales that are no smaller than they should be: 18 pixels by 70/18 in float32 are 69 to a runtime
    that rounds down, as ONNX says."""
    import onnx

    if node.op_type != "Resize":
        return
    for tensor in graph.initializer:
        if tensor.name == node.input[2]:
            scales = onnx.numpy_helper.to_array(tensor)
            larger = np.where(scales == np.round(scales), scales, np.nextafter(scales, np.float32(np.inf)))
            tensor.CopyFrom(onnx.numpy_helper.from_array(larger.astype(np.float32), tensor.name))


def _without_erfc(graph) -> None:
    """Writes 1 - Erf(x) for GELU's complementary error function, which ONNX lacks and the converter leaves as it is."""
    import onnx

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf, one = f"{node.output[0]}/erf", f"{node.output[0]}/one"
        nodes += [
            onnx.helper.make_node("Erf", [node.input[0]], [erf], name=f"{node.name}/erf"),
            onnx.helper.make_node("Constant", [], [one], value=onnx.numpy_helper.from_array(np.float32(1.0))),
            onnx.helper.make_node("Sub", [one, erf], [node.output[0]], name=node.name),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _to_tflite(function) -> bytes:
    # By way of a SavedModel, without which the inputs and outputs would lose their names.
    function = function.get_concrete_function()
    root = tf.Module()
    root.weights = list(function.graph.variables)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(root, folder, signatures={"serving_default": function})
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def _run_onnx(path: pathlib.Path, image: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": image}), strict=True))


def _run_tflite(path: pathlib.Path, image: np.ndarray) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it will move to a package of its own
        interpreter = tf.lite.Interpreter(model_path=str(path))
    return interpreter.get_signature_runner("serving_default")(images=image)
