"""Which images the gallery chooses, against sorting all of them; what it calls a change."""

import numpy as np
import pytest

from msda_tf.report import gallery
from msda_tf.report.gallery import Gallery

IGNORED = 255


def random_maps(rng, classes=5, size=(33, 47)):
    label = rng.integers(0, classes, size).astype(np.uint8)
    label[:4] = IGNORED
    maps = {}
    for name in ("S1", "S-All", "Max Merge"):
        wrong = rng.random(size) < rng.random()
        maps[name] = np.where(wrong, rng.integers(0, classes, size), np.where(label == IGNORED, 0, label)).astype(
            np.uint8
        )
    return label, maps


def score(label, prediction, least):
    """Mean IoU over the classes with a share of the labelled pixels, pixel by pixel."""
    valid = label != IGNORED
    values = []
    for each in set(label[valid].tolist()):
        truth, taken = (label == each) & valid, (prediction == each) & valid
        if truth.sum() >= least * valid.sum():
            values.append((truth & taken).sum() / (truth | taken).sum())
    return np.mean(values)


def test_the_score_of_an_image_is_the_mean_iou_of_the_classes_it_shows():
    rng = np.random.default_rng(0)
    for _ in range(20):
        label, maps = random_maps(rng)
        label[5, 5:7] = 7  # 2 of 1363 pixels: shown
        label[6, 5] = 8  # 1 pixel: too small to count
        found = gallery.image_score(label, maps["S1"], classes=19)
        assert found == pytest.approx(score(label, maps["S1"], gallery.SMALL_CLASS))
        assert found != pytest.approx(score(label, maps["S1"], 0))
    assert gallery.image_score(np.full((3, 3), IGNORED, np.uint8), np.zeros((3, 3), np.uint8), classes=19) is None


def test_the_most_improved_and_the_most_damaged_are_kept_in_order():
    rng = np.random.default_rng(1)
    kept, gains = Gallery(4, classes=5), {}
    for number in range(40):
        label, maps = random_maps(rng)
        kept.see(f"{number:02d}", np.zeros((33, 47, 3), np.uint8), label, maps)
        gains[f"{number:02d}"] = score(label, maps["Max Merge"], 0.001) - score(label, maps["S-All"], 0.001)
    order = sorted(gains, key=gains.get)
    assert (kept.better, kept.than) == ("Max Merge", "S-All")
    assert [shot.name for shot in kept.damaged] == order[:4]
    assert [shot.name for shot in kept.improved] == order[:-5:-1]
    assert kept.improved[0].gain == pytest.approx(gains[order[-1]])


def test_an_unchanged_image_is_neither_and_of_equal_ones_the_first_stay():
    label = np.zeros((8, 8), np.uint8)
    wrong = label.copy()
    wrong[:2] = 1
    kept = Gallery(2, classes=3)
    for name in "abcd":
        kept.see(name, np.zeros((8, 8, 3), np.uint8), label, {"S-All": wrong, "Max Merge": label})
    kept.see("same", np.zeros((8, 8, 3), np.uint8), label, {"S-All": label, "Max Merge": label})
    assert [shot.name for shot in kept.improved] == ["a", "b"] and kept.damaged == []
    nothing = Gallery(0, classes=3)
    nothing.see("a", np.zeros((8, 8, 3), np.uint8), label, {"S-All": wrong, "Max Merge": label})
    assert nothing.improved == nothing.damaged == []


def test_one_column_alone_shows_its_best_and_its_worst():
    label, kept = np.zeros((8, 8), np.uint8), Gallery(2, classes=3)
    for rows in (0, 6, 2, 4):
        prediction = label.copy()
        prediction[:rows] = 1
        kept.see(f"{rows} wrong", np.zeros((8, 8, 3), np.uint8), label, {"No Adapt": prediction})
    assert (kept.better, kept.than) == ("No Adapt", None)
    assert [shot.name for shot in kept.improved] == ["0 wrong", "2 wrong"]
    assert [shot.name for shot in kept.damaged] == ["6 wrong", "4 wrong"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["No Adapt", "S1", "S2", "S-All", "Max Merge"], ("Max Merge", "S-All")),
        (["S1", "S2", "Max Merge"], ("Max Merge", "S2")),
        (["No Adapt", "S-All"], ("S-All", "No Adapt")),
        (["S-All (a)", "S-All (b)", "Max Merge"], ("Max Merge", "S-All (a)")),
    ],
)
def test_what_is_compared(columns, expected):
    assert gallery.pair(columns) == expected


def test_changes_are_counted_on_labelled_pixels_only():
    label = np.array([[0, 0, 0, 0, IGNORED]], np.uint8)
    new = np.array([[0, 1, 0, 1, 0]], np.uint8)
    old = np.array([[1, 0, 0, 2, 1]], np.uint8)
    assert gallery.changes(label, new, old).tolist() == [[1, 2, 0, 0, 0]]


def test_large_images_are_kept_small():
    label, kept = np.zeros((600, 2048), np.uint8), Gallery(1, classes=3)
    kept.see("a", np.zeros((600, 2048, 3), np.uint8), label, {"No Adapt": label})
    (shot,) = kept.improved
    assert shot.image.shape == (300, 1024, 3) and shot.maps["No Adapt"].shape == shot.label.shape == (300, 1024)
