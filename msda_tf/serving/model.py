"""The graph that an export holds: its signatures, and the requests that it refuses."""

from dataclasses import dataclass

import tensorflow as tf

from msda_tf.data.transforms import decode_image
from msda_tf.image_files import jpeg, png
from msda_tf.inference.members import Inference
from msda_tf.labels import ClassList
from msda_tf.serving import compress

_LEAST_SIDE = 64


@dataclass(frozen=True)
class Served:
    """What the served model takes and gives.

    Attributes:
      confidence: also give the probability of each pixel's class.
      color_map: also give the label map in the classes' colours.
      size: (height, width) of the only images that are taken; None: any.
      max_pixels: most pixels in one call, over all its images; sides below 64 pixels count as 64, because the
        networks' maps do not shrink with them.
    """

    confidence: bool = False
    color_map: bool = False
    size: tuple[int, int] | None = None
    max_pixels: int = 1 << 23


class ServedModel:
    """Merged networks with two signatures, and requests checked before any memory is spent on them.

    Every refusal is an InvalidArgument error whose message says what is expected.

    Args:
      inference: the networks.
      classes: of the label maps.
      served: what the model takes and gives.
      store: type in which kernels are kept, "float32" or "bfloat16" (half the size, converted when they are used).

    Attributes:
      signatures: "serving_default" and "serving_bytes", concrete functions.
      root: what `tf.saved_model.save` takes: the variables that the signatures use, and nothing else, neither Keras'
        objects nor branches that take no part.
    """

    def __init__(self, inference: Inference, classes: ClassList, served: Served, *, store: str = "float32"):
        self._inference, self._served = inference, served
        self._stored = compress.stored(inference, store)
        self._palette = classes.palette()
        images = tf.TensorSpec([None, *(served.size or (None, None)), 3], tf.uint8, name="images")
        self._spec = images
        encoded = tf.TensorSpec([None], tf.string, name="image_bytes")
        # Both signatures call one copy of the networks.
        self._networks = _concrete(self._outputs, images)
        self.signatures = {
            "serving_default": _concrete(self._segment, images),
            "serving_bytes": _concrete(self._segment_bytes, encoded),
        }
        self.root = tf.Module()
        self.root.weights = list(self._networks.graph.variables)

    def convertible(self) -> tf.types.experimental.PolymorphicFunction:
        """The networks without checks, from operations that other runtimes have, too."""
        spec = tf.TensorSpec([1 if self._served.size else None, *self._spec.shape[1:]], tf.uint8, name="images")
        return tf.function(self._convertible_outputs, input_signature=[spec], autograph=False)

    def _segment(self, images):
        """uint8 RGB `[B, H, W, 3]` to the outputs, each `[B, H, W, ...]`."""
        images = _checked_shape(images)
        some = tf.Assert(tf.size(images) > 0, ["images must hold at least one pixel, not be", tf.shape(images)])
        few = self._few_pixels(tf.shape(images)[0], tf.shape(images)[1:3])
        with tf.control_dependencies([some, few]):
            return self._networks(tf.identity(images))

    def _segment_bytes(self, image_bytes):
        """PNG or JPEG files, string `[B]`, to the same outputs; all images of one size."""
        image_bytes = _checked_shape(image_bytes)
        some = tf.Assert(tf.size(image_bytes) > 0, ["image_bytes must hold at least one PNG or JPEG file"])
        with tf.control_dependencies([some]):
            sizes = tf.map_fn(stored_size, image_bytes, fn_output_signature=tf.TensorSpec([2], tf.int32))
        expected = sizes[0] if self._served.size is None else tf.constant(self._served.size)
        same = tf.Assert(
            tf.reduce_all((sizes == expected) & (sizes > 0)),
            ["all images of a request must be of one size, here", expected, "(height, width), not", sizes],
            summarize=16,
        )
        # The sizes are those of the headers: a file of some bytes may claim to be of gigabytes when decoded.
        with tf.control_dependencies([same, self._few_pixels(tf.size(image_bytes), sizes[0])]):
            spec = tf.TensorSpec([*(self._served.size or (None, None)), 3], tf.uint8)
            return self._networks(tf.map_fn(decode_image, image_bytes, fn_output_signature=spec))

    def _few_pixels(self, count, size):
        # 64 bits: 32 overflow where it matters.
        sides = tf.cast(tf.maximum(size, _LEAST_SIDE), tf.int64)
        pixels, limit = tf.cast(count, tf.int64) * sides[0] * sides[1], self._served.max_pixels
        return tf.Assert(pixels <= limit, [f"a request may have {limit} pixels in all, not", pixels])

    def _outputs(self, images):
        with compress.converted(self._stored):
            if self._served.confidence:
                labels, confidence = self._inference.segment_with_confidence(images)
            else:
                labels, confidence = self._inference.segment(images), None
        return self._named(labels, confidence)

    def _convertible_outputs(self, images):
        # This way to the labels takes more memory, but no comparison of uint8, which LiteRT does not know.
        with compress.converted(self._stored):
            return self._named(*self._inference.segment_with_confidence(images))

    def _named(self, labels, confidence):
        outputs = {"label_map": labels}
        if self._served.confidence:
            outputs["confidence"] = confidence
        if self._served.color_map:
            outputs["color_map"] = tf.gather(tf.constant(self._palette), tf.cast(outputs["label_map"], tf.int32))
        return outputs


def _concrete(function, spec):
    return tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()


def _checked_shape(value: tf.Tensor) -> tf.Tensor:
    """The value; an error if at run time it has another shape than its signature says.

    Nothing else checks that: what is fed to a graph is taken to be of the shape of its placeholder, and some kernels
    end the process when it is not.
    """
    # Whose shape is unknown to the optimizer, so that it does not take the check for superfluous.
    unknown = tf.compat.v1.placeholder_with_default(value, shape=None)
    return tf.ensure_shape(unknown, value.shape)


def stored_size(data: tf.Tensor) -> tf.Tensor:
    """(height, width) int32 `[2]` in the header of a PNG or JPEG file, string `[]`, without decoding it.

    Raises:
      tf.errors.InvalidArgumentError: it is neither, or made so that decoding it takes more than its size tells.
    """
    is_png = tf.strings.substr(data, 0, len(png.SIGNATURE)) == tf.constant(png.SIGNATURE)
    is_jpeg = tf.strings.substr(data, 0, len(jpeg.SIGNATURE)) == tf.constant(jpeg.SIGNATURE)
    known = tf.Assert(is_png | is_jpeg, ["image_bytes must be the content of PNG or JPEG files, base64 in JSON"])
    with tf.control_dependencies([known]):
        return tf.cond(is_png, lambda: _png_size(data), lambda: _jpeg_size(data))


def _png_size(data):
    # The first chunk, IHDR, begins with width and height (PNG specification, section 11.2.1). A file with another one
    # before it would be decoded to the size of the true header.
    header = tf.strings.substr(data, 0, 24)
    whole = tf.Assert(tf.strings.length(header) == 24, ["a PNG file ends before its header does"])
    with tf.control_dependencies([whole]):
        is_first = tf.strings.substr(header, 8, 8) == tf.constant(b"\0\0\0\x0dIHDR")
    with tf.control_dependencies([tf.Assert(is_first, ["a PNG file does not begin with its header"])]):
        numbers = tf.io.decode_raw(tf.strings.substr(header, 16, 8), tf.int32, little_endian=False)
    return tf.reverse(tf.ensure_shape(numbers, [2]), [0])


def _jpeg_size(data):
    values = tf.io.decode_raw(data, tf.uint8)
    scans = tf.math.count_nonzero((values[:-1] == 0xFF) & (values[1:] == jpeg.START_OF_SCAN))
    # Each goes over all pixels again, and one of some bytes is enough for that.
    few = tf.Assert(scans <= jpeg.MOST_SCANS, [f"a JPEG file may have {jpeg.MOST_SCANS} scans, not", scans])
    with tf.control_dependencies([few]):
        return tf.io.extract_jpeg_shape(data)[:2]
