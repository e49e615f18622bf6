"""Labels: decoding without loss, remapping against a loop, and refusing what is no image of ids."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from raw_sets import CITYSCAPES, SYNTHIA, ids, mapped, synthia_label

from msda_tf import labels
from msda_tf.data.writing import label_maps
from msda_tf.data_prep.labels import label_images
from msda_tf.data_prep.labels.label_images import IdLabels, SynthiaLabels
from msda_tf.image_files.headers import BadFrame

CITYSCAPES_READER = IdLabels(labels.id_lookup(labels.CITYSCAPES_IDS, labels.CITYSCAPES_IGNORED_IDS))
SYNTHIA_READER = SynthiaLabels(labels.id_lookup(labels.SYNTHIA_IDS, labels.SYNTHIA_IGNORED_IDS))


def _png(picture: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("as_palette", [False, True])
def test_cityscapes_ids(as_palette):
    values = ids(1, CITYSCAPES)
    picture = Image.fromarray(values)
    if as_palette:
        picture = picture.convert("P")
        picture.putpalette(bytes(range(255, -1, -1)) * 3)
    decoded = CITYSCAPES_READER.decode(_png(picture))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mapped(values, CITYSCAPES))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_small_palettes_keep_their_indices(bits):
    table = np.full(65536, -1, np.int16)
    table[:16] = np.arange(16)
    values = ids(1, range(2**bits))
    picture = Image.fromarray(values).convert("P")
    picture.putpalette(bytes(range(3 * 2**bits)))
    content = _png(picture, bits=bits)
    assert content[24] == bits  # the header's bit depth
    np.testing.assert_array_equal(IdLabels(table).decode(content), values)


def test_synthia_ids():
    values = ids(1, SYNTHIA)
    content = cv2.imencode(".png", synthia_label(values))[1].tobytes()
    np.testing.assert_array_equal(SYNTHIA_READER.decode(content), mapped(values, SYNTHIA))


@pytest.mark.parametrize("unknown", [12, 35, 36])
def test_every_unknown_id_is_noticed(unknown):
    """Also the first above the known ones, and one between them."""
    table = labels.id_lookup(labels.CITYSCAPES_IDS, labels.CITYSCAPES_IGNORED_IDS)
    table[12] = -1
    label_images.lookup(np.array([[0, 34]], np.uint8), table)
    with pytest.raises(BadFrame, match=f"unknown class ids {unknown}$"):
        label_images.lookup(np.array([[0, unknown]], np.uint8), table)


def test_unknown_ids_are_listed():
    values = ids(1, (7, 8, 40, 99, 255))
    with pytest.raises(BadFrame, match="unknown class ids 40, 99, 255$"):
        CITYSCAPES_READER.decode(_png(Image.fromarray(values)))
    content = cv2.imencode(".png", synthia_label(ids(1, range(40))).astype(np.uint16) * 2)[1].tobytes()
    with pytest.raises(BadFrame, match=r"unknown class ids 24, 26, 28, 30, 32, \.\.\.$"):
        SYNTHIA_READER.decode(content)


COLOR = _png(Image.new("RGB", (9, 5)))
GREY_4_BIT = _png(Image.new("P", (9, 5)), bits=4)
GREY_16 = _png(Image.fromarray(np.zeros((5, 9), np.uint16)))
GREY_1 = _png(Image.new("1", (9, 5)))
GREY_8 = _png(Image.new("L", (9, 5)))
JPEG = cv2.imencode(".jpg", np.zeros((5, 9), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("reader", "content", "said"),
    [
        (CITYSCAPES_READER, COLOR, "colour image where an image of class ids is due"),
        (CITYSCAPES_READER, GREY_16, "16 bits per pixel where ids of 8 bits are due"),
        (CITYSCAPES_READER, GREY_1, "1 bits per pixel"),
        (CITYSCAPES_READER, JPEG, "a JPEG file"),
        (SYNTHIA_READER, COLOR, "colour image where .* use GT/LABELS, not GT/COLOR"),
        (SYNTHIA_READER, GREY_8, "8 bits per pixel, grey, where 16-bit RGB is due"),
        (SYNTHIA_READER, GREY_16, "16 bits per pixel, grey"),
    ],
)
def test_what_is_no_label(reader, content, said):
    with pytest.raises(BadFrame, match=said):
        reader.decode(content)


@pytest.mark.parametrize("reader", [CITYSCAPES_READER, SYNTHIA_READER])
def test_damage(reader):
    values = ids(1, (7,))
    good = _png(Image.fromarray(values)) if reader is CITYSCAPES_READER else None
    good = good or cv2.imencode(".png", synthia_label(values))[1].tobytes()
    reader.decode(good)
    with pytest.raises(BadFrame, match="truncated PNG"):
        reader.decode(good[:-20])
    with pytest.raises(BadFrame, match="damaged PNG"):
        reader.decode(good[:60] + bytes([good[60] ^ 1]) + good[61:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lookup_against_a_loop(dtype):
    table = np.random.default_rng(0).integers(0, 19, 65536).astype(np.int16)
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (7, 5)).astype(dtype)
    found = label_images.lookup(values, table)
    assert found.dtype == np.uint8
    assert found.tolist() == [[table[value] for value in row] for row in values]


def test_resize_takes_the_nearest_and_invents_nothing():
    values = ids(1, (0, 18, 255))
    half = label_images.resize(values, (32, 65))
    assert half.shape == (32, 65)
    rows = [int((y + 0.5) * 65 / 32) for y in range(32)]
    columns = [int((x + 0.5) * 129 / 65) for x in range(65)]
    np.testing.assert_array_equal(half, values[np.ix_(rows, columns)])


def test_stored_labels_are_plain_grey_png():
    values = ids(1, (0, 18, 255))
    content = label_maps.encode(values)
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(picture), values)


def test_counts():
    values = ids(1, (0, 2, 255))
    counts, ignored = label_maps.class_counts(values, 3)
    assert counts.tolist() == [(values == 0).sum(), 0, (values == 2).sum()]
    assert ignored == (values == 255).sum()
