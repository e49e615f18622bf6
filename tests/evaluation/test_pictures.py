"""Pictures: exact colours where colours mean classes, and layout at every image size."""

import numpy as np
import pytest
from PIL import Image

from msda_tf.evaluation import pictures
from msda_tf.labels import CITYSCAPES_CLASSES, ClassList


def example(height, width):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (height, width, 3), np.uint8)
    labels = generator.integers(0, 19, (height, width), np.uint8)
    labels[: height // 4] = 255
    return image, labels


def test_colours_equal_a_loop():
    _, labels = example(9, 13)
    colors = pictures.colorize(labels, CITYSCAPES_CLASSES)
    assert colors.dtype == np.uint8
    for pixel in np.ndindex(*labels.shape):
        expected = (0, 0, 0) if labels[pixel] == 255 else CITYSCAPES_CLASSES.colors[labels[pixel]]
        assert tuple(colors[pixel]) == expected


def test_overlay_blends_classes_and_leaves_ignored_pixels():
    image, labels = example(65, 129)
    mixed = pictures.overlay(image, labels, CITYSCAPES_CLASSES, alpha=0.25)
    np.testing.assert_array_equal(mixed[labels == 255], image[labels == 255])
    expected = 0.75 * image + 0.25 * pictures.colorize(labels, CITYSCAPES_CLASSES)
    np.testing.assert_allclose(mixed[labels != 255], expected[labels != 255], atol=0.51)


@pytest.mark.parametrize(
    ("size", "factor"), [((65, 129), 4), ((128, 256), 2), ((400, 640), 1), ((760, 1280), None), ((900, 480), 1)]
)
def test_panel_holds_every_map_in_its_own_colours(size, factor):
    image, labels = example(*size)
    maps = {"Ground truth": labels, "S1": np.roll(labels, 5, 1), "Max Merge": np.full_like(labels, 13)}
    panel = pictures.panel(image, maps, CITYSCAPES_CLASSES)
    assert panel.dtype == np.uint8
    assert max(panel.shape) < 4000
    if factor:  # enlarged by a whole factor or not at all: every pixel can be found again
        shown = [image, *(pictures.colorize(each, CITYSCAPES_CLASSES) for each in maps.values())]
        for tile in shown:
            assert contains(panel, tile.repeat(factor, axis=0).repeat(factor, axis=1))
    else:  # shrunk without mixing colours
        palette = {tuple(color) for color in CITYSCAPES_CLASSES.palette().tolist()}
        pure = sum(tuple(color) in palette for color in panel.reshape(-1, 3).tolist())
        assert pure > 3 * 1024 * 608


def contains(panel, tile):
    """Whether `tile` is somewhere in `panel`, pixel by pixel."""
    height, width = tile.shape[:2]
    corners = np.all(panel[: panel.shape[0] - height + 1, : panel.shape[1] - width + 1] == tile[0, 0], axis=-1)
    corners &= np.all(panel[height - 1 :, width - 1 :] == tile[-1, -1], axis=-1)
    return any(
        np.array_equal(panel[top : top + height, left : left + width], tile) for top, left in np.argwhere(corners)
    )


def test_panel_has_captions_and_a_legend_of_all_classes():
    image = np.full((128, 256, 3), 255, np.uint8)
    labels = np.full((128, 256), 255, np.uint8)
    panel = pictures.panel(image, {"Ground truth": labels}, CITYSCAPES_CLASSES)
    colors = {tuple(color) for color in panel.reshape(-1, 3)}
    assert colors >= set(CITYSCAPES_CLASSES.colors)
    longer = pictures.panel(image, {"Ground truth, a longer caption": labels}, CITYSCAPES_CLASSES)
    assert longer.shape == panel.shape
    assert (longer != panel).any()
    two = ClassList(names=("a", "b"), colors=((1, 2, 3), (4, 5, 6)))
    assert pictures.panel(image, {"Ground truth": labels}, two).shape[0] < panel.shape[0]


def test_confidence_is_brighter_the_surer_it_is():
    picture = pictures.confidence_map(np.linspace(0, 1, 11)[None])
    light = picture.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert picture.shape == (1, 11, 3) and (np.diff(light[0]) > 5).all()
    assert picture[0, 0, 2] > picture[0, 0, 0] and picture[0, -1, 0] > picture[0, -1, 2]  # blue, and yellow


def test_doubts_show_where_branches_differ_and_how_sure_the_merge_is():
    image = np.full((4, 6, 3), 100, np.uint8)
    first = np.zeros((4, 6), np.uint8)
    other = first.copy()
    other[1, 2] = 7
    found = pictures.doubts(image, [first, other, first], np.full((4, 6), 0.5))
    confidence, disputed = found.values()
    assert [caption.split()[0] for caption in found] == ["Confidence:", "Disagreement"]
    assert (confidence == confidence[0, 0]).all()
    red = disputed[..., 0].astype(int) - disputed[..., 1]
    assert red[1, 2] > 100 and np.count_nonzero(red) == 1
    assert len(pictures.doubts(image, [first], np.ones((4, 6)))) == 1


@pytest.mark.parametrize("width", [64, 640, 2048])
def test_a_legend_is_as_wide_as_its_picture_and_holds_every_class(width):
    image = np.full((50, width, 3), 7, np.uint8)
    shown = pictures.with_legend(image, CITYSCAPES_CLASSES)
    assert shown.shape[1] == width and shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[:50], image)
    assert {tuple(color) for color in shown[50:].reshape(-1, 3)} >= set(CITYSCAPES_CLASSES.colors)


def test_panel_refuses_maps_of_another_size():
    image, labels = example(65, 129)
    with pytest.raises(ValueError, match="S1 is"):
        pictures.panel(image, {"S1": labels[1:]}, CITYSCAPES_CLASSES)


def test_written_files_hold_the_same_pixels(tmp_path):
    image, labels = example(65, 129)
    pictures.write_png(tmp_path / "image.png", image)
    pictures.write_png(tmp_path / "labels.png", labels)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "image.png")), image)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "labels.png")), labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.png", "labels.png"]
