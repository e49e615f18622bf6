"""Pure ops on one example: decode, resize, flip. They work eagerly and inside tf.data."""

import tensorflow as tf

Size = tuple[int, int]
"""(height, width) in pixels."""


def decode(serialized: tf.Tensor, *, labelled: bool) -> dict[str, tf.Tensor]:
    """Parses and decodes one serialized example (see `records`).

    Returns:
      `image` uint8 `[H, W, 3]`, `label` uint8 `[H, W]` (only if `labelled`), `filename` string `[]`.

    Raises:
      tf.errors.InvalidArgumentError: anything about it is not as `records` says.
    """
    keys = {"image": "image/encoded", "filename": "image/filename"}
    if labelled:
        keys["label"] = "image/segmentation/class/encoded"
    features = {key: tf.io.FixedLenFeature([], tf.string) for key in keys.values()}
    parsed = tf.io.parse_single_example(serialized, features)
    image = decode_image(parsed[keys["image"]])
    example = {"image": image, "filename": parsed[keys["filename"]]}
    if labelled:
        label = tf.squeeze(tf.io.decode_png(parsed[keys["label"]], channels=1), -1)  # [..., 0] would copy it
        # Palette, colour and 16-bit PNGs would decode to something, but not to what they mean.
        depth_and_kind = tf.io.decode_raw(tf.strings.substr(parsed[keys["label"]], 24, 2), tf.uint8)
        tf.debugging.assert_equal(depth_and_kind, tf.constant([8, 0], tf.uint8), "it is not an 8-bit greyscale PNG")
        tf.debugging.assert_equal(tf.shape(image)[:2], tf.shape(label), "it has another size than the image")
        example["label"] = label
    return example


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a PNG or JPEG file to RGB, uint8 `[H, W, 3]`; equal to Pillow's and OpenCV's result.

    Raises:
      tf.errors.InvalidArgumentError: it is neither, or damaged.
    """
    # decode_jpeg also decodes PNG, and alone lets one choose the exact inverse transform that other libraries use.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def resize_image(image: tf.Tensor, size: Size) -> tf.Tensor:
    """Resizes uint8 `[H, W, 3]` to uint8 `[*size, 3]`: bicubic with antialiasing. The size may be int32 `[2]`.

    The rounded result of `tf.image.resize(image, size, "bicubic", antialias=True)`, and Pillow's BICUBIC but for
    rounding: Pillow rounds after each axis, so that single pixels differ by a level or two.
    """

    def resized():
        # TensorFlow's op loops over the channels innermost: one axis at a time with the other axis folded into the
        # channels takes half the time.
        rows = _resize_first_axis(image, size[0])
        columns = _resize_first_axis(tf.transpose(rows, [1, 0, 2]), size[1])
        return tf.transpose(tf.saturate_cast(tf.round(columns), tf.uint8), [1, 0, 2])

    result = tf.cond(tf.reduce_all(tf.shape(image)[:2] == size), lambda: image, resized)
    result.set_shape([*(size if isinstance(size, tuple) else (None, None)), 3])
    return result


def _resize_first_axis(image: tf.Tensor, length: int) -> tf.Tensor:
    """Bicubic with antialiasing, `[A, B, C]` to float32 `[length, B, C]`."""
    first, second, channels = tf.unstack(tf.shape(image))
    folded = tf.reshape(image, [first, 1, second * channels])
    resized = tf.image.resize(folded, [length, 1], "bicubic", antialias=True)
    return tf.reshape(resized, [length, second, channels])


def resize_label(label: tf.Tensor, size: Size) -> tf.Tensor:
    """Resizes uint8 `[H, W]` to uint8 `[*size]`: nearest neighbour, as Pillow's. The size may be int32 `[2]`."""

    def resized():
        return tf.image.resize(label[..., None], size, "nearest")[..., 0]

    result = tf.cond(tf.reduce_all(tf.shape(label) == size), lambda: label, resized)
    result.set_shape(size if isinstance(size, tuple) else (None, None))
    return result


def flipped(example: dict[str, tf.Tensor], *, key: tf.Tensor) -> dict[str, tf.Tensor]:
    """Mirrors maps `[H, W, ...]`, and the `window` of a crop in one, or not: the key, int64 `[2]`, tosses the coin."""
    coin = tf.random.stateless_uniform([], key, alg="philox") < 0.5
    maps = {name: value for name, value in example.items() if name != "filename"}
    mirrored = tf.cond(coin, lambda: {name: _mirrored(name, value) for name, value in maps.items()}, lambda: maps)
    return {**example, **mirrored}


def _mirrored(name: str, value: tf.Tensor) -> tf.Tensor:
    if name == "window":
        top, left, bottom, right = tf.unstack(value)
        return tf.stack([top, 1 - right, bottom, 1 - left])
    return tf.reverse(value, [1])
