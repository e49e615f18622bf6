"""The decoder against pixels worked out by hand, against Pillow, and against TensorFlow's decoders."""

import io
import zlib

import image_kinds
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from msda_tf.data.transforms import decode_image
from msda_tf.data.writing import images as stored_images
from msda_tf.data.writing.images import Storage
from msda_tf.errors import MsdaError
from msda_tf.image_files import decode, headers
from msda_tf.image_files.headers import BadFrame
from msda_tf.prediction import images as prediction_images
from msda_tf.serving.model import stored_size

GOOD_PNGS, GOOD_JPEGS, BAD = image_kinds.good_pngs(), image_kinds.good_jpegs(), image_kinds.bad_files()


def _prepare(data, path):
    try:
        stored = stored_images.store(data, Storage(1.0001, "png"), max_pixels=10**6)
    except BadFrame:
        return None
    return np.asarray(Image.open(io.BytesIO(stored.data)).convert("RGB"))


def _predict(data, path):
    path.write_bytes(data)
    try:
        return prediction_images.read(path, max_pixels=10**6)[1]
    except MsdaError as error:
        assert str(path) in str(error)
        return None


def _train(data, path):
    if tuple(data[16:24]) and data.startswith(image_kinds.SIGNATURE):
        width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
        if width * height > 10**8:
            pytest.skip("TensorFlow would take the memory")
    try:
        return decode_image(tf.constant(data)).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def _serve(data, path):
    try:
        height, width = stored_size(tf.constant(data)).numpy()
        if not 0 < int(height) * int(width) <= 10**6:
            return None
        return decode_image(tf.constant(data)).numpy()
    except tf.errors.InvalidArgumentError:
        return None


READERS = {"prepare": _prepare, "predict and query": _predict, "serve": _serve}


@pytest.mark.parametrize("reader", [*READERS.values(), _train], ids=[*READERS, "train"])
def test_every_reader_sees_the_same_pixels(tmp_path, reader):
    path = tmp_path / "picture"
    for name, (data, expected) in GOOD_PNGS.items():
        seen = reader(data, path)
        assert seen is not None, name
        np.testing.assert_array_equal(seen, expected, err_msg=name)
    for name, data in GOOD_JPEGS.items():
        seen = reader(data, path)
        assert seen is not None, name
        np.testing.assert_array_equal(seen, decode.decode(data), err_msg=name)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_reader_refuses_the_same_files(tmp_path, reader):
    path = tmp_path / "picture"
    for name, data in BAD.items():
        # A scan that only announces itself costs a server nothing: it may refuse by the limit alone.
        assert reader(data, path) is None, name


def test_jpegs_as_pillow_decodes_them():
    for name, data in GOOD_JPEGS.items():
        if "CMYK" not in name:
            expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            np.testing.assert_array_equal(decode.decode(data), expected, err_msg=name)
    assert np.abs(decode.decode(GOOD_JPEGS["jpeg CMYK False 0"]).astype(int) - image_kinds.smooth()).mean() < 3


def test_damaged_bytes_give_equal_pixels_or_the_same_refusal():
    """One byte of a file is changed, or its end cut off: 150 times each."""
    rng = np.random.default_rng(0)
    sources = [GOOD_JPEGS[name] for name in ("jpeg RGB False 2", "jpeg L False 0", "jpeg CMYK False 0")]
    sources.append(GOOD_PNGS["png 2 8 False plain"][0])
    refused = 0
    for source in sources:
        for _ in range(150):
            data = bytearray(source)
            data[rng.integers(2, len(data))] = rng.integers(0, 256)
            data = bytes(data[: rng.integers(3, len(data))] if rng.random() < 0.1 else data)
            ours, theirs = (reader(data, None) for reader in (_prepare, _serve))
            assert (ours is None) == (theirs is None)
            refused += ours is None
            if ours is not None:
                np.testing.assert_array_equal(ours, theirs)
    assert refused > 50


def test_any_header_is_refused_or_decoded():
    """Whatever stands in a header: nothing else than BadFrame comes out, and no memory is taken."""
    rng = np.random.default_rng(1)
    whole, photo = GOOD_PNGS["png 2 8 False plain"][0], GOOD_JPEGS["jpeg RGB False 0"]
    for _ in range(400):
        fields = rng.bytes(13)
        if rng.random() < 0.5:  # mostly possible
            fields = rng.integers(0, 2**17, 2).astype(">u4").tobytes() + bytes([8, 2, 0, 0, 0])
        data = whole[:8] + image_kinds.chunk(b"IHDR", fields) + whole[33:]
        damaged = bytearray(photo)
        for at in rng.integers(2, 600, 5):
            damaged[at] = rng.integers(0, 256)
        for content in (data, bytes(damaged)):
            try:
                assert decode.decode(content, max_pixels=10**6).dtype == np.uint8
            except BadFrame as error:
                assert "\n" not in str(error)


def test_samples():
    for color, bits in [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (3, 1), (3, 2), (3, 4), (3, 8)]:
        numbers = image_kinds.values(color, bits, 11, 13)
        for interlaced in (False, True):
            extra = {"before": ((b"eXIf", image_kinds.exif(3)),)}
            seen = decode.samples(image_kinds.png(numbers, color, bits, interlaced=interlaced, **extra))
            np.testing.assert_array_equal(seen, numbers[..., 0])
            assert seen.dtype == (np.uint16 if bits == 16 else np.uint8)
    for color, bits in [(2, 8), (2, 16), (6, 8), (6, 16)]:
        numbers = image_kinds.values(color, bits, 11, 13)
        np.testing.assert_array_equal(decode.samples(image_kinds.png(numbers, color, bits)), numbers)
    for data in (GOOD_JPEGS["jpeg L False 0"], GOOD_PNGS["png 4 8 False plain"][0], *BAD.values()):
        with pytest.raises(BadFrame):
            decode.samples(data, max_pixels=10**6)


def test_a_label_with_missing_rows_is_refused():
    """Pillow takes some whose compressed rows end early, and gives zeros: the first class."""
    numbers = image_kinds.values(3, 8, 40, 50)
    for kept in (0, 1, 51, 1000, 2000, 2039):
        data = image_kinds.png(numbers, 3, 8, compress=lambda rows, kept=kept: zlib.compress(rows[:kept]))
        with pytest.raises(BadFrame, match="damaged PNG"):
            decode.samples(data)


@pytest.mark.parametrize("width, height", [(8193, 8193), (50000, 50000)])
def test_the_limit_is_a_setting(width, height):
    data = image_kinds.SIGNATURE + image_kinds.header(width, height, 1, 0) + image_kinds.chunk(b"IEND", b"")
    with pytest.raises(BadFrame, match=f"{width}x{height} pixels, more than the {2**26} .* raise --max-pixels"):
        decode.decode(data)
    panorama = image_kinds.png(np.zeros((9000, 8000, 1), np.uint16), 0, 1)
    with pytest.raises(BadFrame, match="8000x9000 pixels"):
        decode.samples(panorama)
    assert decode.decode(panorama, max_pixels=8000 * 9000).shape == (9000, 8000, 3)


def test_orientation_is_told_and_not_applied(tmp_path):
    for name, (data, _) in GOOD_PNGS.items():
        expected = int(name[-1]) if "orientation" in name else 1
        assert headers.parse(data).orientation == expected, name
    for orientation in range(1, 9):
        data = GOOD_JPEGS[f"jpeg orientation {orientation}"]
        (tmp_path / "a.jpg").write_bytes(data)
        assert headers.read(tmp_path / "a.jpg").orientation == orientation
        assert decode.decode(data).shape == (45, 61, 3)
    assert headers.parse(GOOD_JPEGS["jpeg RGB False 0"]).orientation == 1
