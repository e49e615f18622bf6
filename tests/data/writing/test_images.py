"""Images: what is stored against TensorFlow's decoders and Pillow's resize."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from raw_sets import image

from msda_tf.data.writing import images
from msda_tf.data.writing.images import Storage
from msda_tf.image_files.headers import BadFrame


def _encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _smooth() -> np.ndarray:
    """Colours that JPEG's halved colour resolution hardly changes: uint8 `[65, 129, 3]`."""
    rows, columns = np.mgrid[:65, :129]
    return np.dstack([rows * 3, columns, 200 - rows - columns // 2]).astype(np.uint8)


def _any_mode(mode: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 13, 4), dtype=np.uint8)
    if mode == "P":
        return _encoded(Image.fromarray(pixels[..., :3]).quantize(7), "PNG")
    channels = {"RGB": slice(3), "RGBA": slice(4), "L": 0, "LA": slice(2)}[mode]
    return _encoded(Image.fromarray(pixels[..., channels]), "PNG")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_bytes_are_kept_and_the_sum_is_of_what_tensorflow_decodes(mode):
    content = _any_mode(mode)
    stored = images.store(content, Storage())
    assert stored.data == content
    assert (stored.format, stored.height, stored.width) == ("png", 9, 13)
    decoded = tf.io.decode_png(content, channels=3).numpy().astype(int)
    assert stored.rgb_sum == tuple(decoded.sum((0, 1)).tolist())


def test_jpeg_is_kept_and_not_turned_by_its_exif_tag():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees: TensorFlow does not, so nothing here may
    content = _encoded(Image.fromarray(_smooth()), "JPEG", exif=exif)
    stored = images.store(content, Storage())
    assert (stored.data, stored.format, stored.height, stored.width) == (content, "jpeg", 65, 129)
    # The inverse transform that training decodes with; TensorFlow's default is off by a level in red and blue.
    decoded = tf.io.decode_jpeg(content, dct_method="INTEGER_ACCURATE").numpy().astype(int)
    assert stored.rgb_sum == tuple(decoded.sum((0, 1)).tolist())


@pytest.mark.parametrize("scale", [0.5, 0.3, 1.0001])
def test_resize_is_pillows_bicubic(scale):
    pixels = image(1)
    stored = images.store(_encoded(Image.fromarray(pixels), "PNG"), Storage(scale))
    height, width = round(65 * scale), round(129 * scale)
    assert (stored.height, stored.width) == (height, width)
    if (height, width) == (65, 129):
        expected = pixels
    else:
        expected = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored.data))), expected)
    assert stored.rgb_sum == tuple(expected.astype(int).sum((0, 1)).tolist())


def test_formats():
    pixels = _smooth()
    png, jpeg = _encoded(Image.fromarray(pixels), "PNG"), _encoded(Image.fromarray(pixels), "JPEG")
    assert images.store(png, Storage(image_format="png")).data == png
    assert images.store(jpeg, Storage(image_format="jpeg", jpeg_quality=1)).data == jpeg
    assert images.store(jpeg, Storage(0.5)).format == "jpeg"
    fine, coarse = (images.store(png, Storage(1, "jpeg", quality)) for quality in (95, 10))
    assert (fine.format, fine.data[:2]) == ("jpeg", b"\xff\xd8")
    assert len(coarse.data) < len(fine.data) / 1.5
    assert np.abs(np.asarray(Image.open(io.BytesIO(fine.data))).astype(int) - pixels).mean() < 2
    as_png = images.store(jpeg, Storage(image_format="png"))
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(as_png.data))), np.asarray(Image.open(io.BytesIO(jpeg)))
    )


PNG = _encoded(Image.fromarray(image(1)), "PNG")
JPEG = _encoded(Image.fromarray(image(1)), "JPEG")
# The header and all checksums are right, but half of the pixels are missing.
SHORT = _encoded(Image.fromarray(image(1)[:32]), "PNG")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PNG[: len(PNG) // 2], "truncated PNG"),
        (JPEG[: len(JPEG) // 2], "truncated JPEG"),
        (b"", "empty file"),
    ],
)
def test_what_cannot_be_stored(content, said):
    with pytest.raises(BadFrame, match=said):
        images.store(content, Storage())


def test_a_png_with_missing_pixels_is_refused():
    import zlib

    header = bytearray(SHORT[:33])
    header[20:24] = (65).to_bytes(4, "big")
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    with pytest.raises(BadFrame, match="damaged PNG"):
        images.store(bytes(header) + SHORT[33:], Storage())
