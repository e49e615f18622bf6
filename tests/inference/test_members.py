"""Inference against a NumPy loop over stub networks."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.inference.members import MAX_MERGE, Inference, Member

CLASSES = 5


class Stub:
    """A network of stride 4 whose branches weigh the channels of every fourth pixel."""

    num_classes = CLASSES

    def __init__(self, seed, branches):
        rng = np.random.default_rng(seed)
        self.weights = {branch: rng.normal(0, 0.05, (3, CLASSES)).astype(np.float32) for branch in branches}

    def __call__(self, images, branches, levels, training):
        assert not training
        small = images[:, ::4, ::4]
        return {levels[0]: {branch: small @ self.weights[branch] for branch in branches}}


MEAN = (10.0, 20.0, 30.0)
FIRST = Member(Stub(1, ["S1", "S2"]), {"S1": "S1", "S2": "S2"}, mean=MEAN)
SECOND = Member(Stub(2, ["S-All"]), {"All": "S-All"}, mean=(0.0, 50.0, 100.0))


def photo(height, width, batch=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def bilinear(maps, height, width):
    """Up-sampling with aligned corners, pixel by pixel."""
    result = np.zeros((len(maps), height, width, maps.shape[-1]), np.float32)
    for row in range(height):
        for column in range(width):
            y = row * (maps.shape[1] - 1) / max(height - 1, 1)
            x = column * (maps.shape[2] - 1) / max(width - 1, 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, maps.shape[1] - 1), min(left + 1, maps.shape[2] - 1)
            fy, fx = y - top, x - left
            result[:, row, column] = (
                maps[:, top, left] * (1 - fy) * (1 - fx)
                + maps[:, top, right] * (1 - fy) * fx
                + maps[:, bottom, left] * fy * (1 - fx)
                + maps[:, bottom, right] * fy * fx
            )
    return result


def logits(images, *, at="image"):
    """All branches' logits of a batch, by hand."""
    height, width = images.shape[1:3]
    maps = {}
    for member in (FIRST, SECOND):
        small = (images.astype(np.float32) - np.float32(member.mean))[:, ::4, ::4]
        for shown, name in member.branches.items():
            maps[shown] = small @ member.segmenter.weights[name]
    return maps if at == "map" else {name: bilinear(value, height, width) for name, value in maps.items()}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def merged(maps, rule):
    stack = np.stack([value if rule == "max-logit" else softmax(value) for value in maps.values()])
    return stack.mean(0) if rule == "mean-probability" else stack.max(0)


def assert_mostly_equal(actual, expected):
    """Equal but for pixels at which two classes tie to the last bit."""
    assert actual.shape == expected.shape
    assert (actual == expected).mean() > 0.999


def run(function, images):
    return tf.function(function, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], autograph=False)(
        tf.constant(images)
    )


@pytest.mark.parametrize("rule", ["max-logit", "max-probability", "mean-probability"])
@pytest.mark.parametrize("merge_at", ["image", "map"])
def test_segment_is_the_argmax_of_the_merged_map(rule, merge_at):
    images = photo(33, 65)
    scores = merged(logits(images, at=merge_at), rule)
    scores = bilinear(scores, 33, 65) if merge_at == "map" else scores
    inference = Inference([FIRST, SECOND], rule=rule, merge_at=merge_at)
    labels = run(inference.segment, images).numpy()
    assert labels.dtype == np.uint8
    assert len(np.unique(labels)) > 2
    assert_mostly_equal(labels, scores.argmax(-1))

    same, confidence = run(inference.segment_with_confidence, images)
    np.testing.assert_array_equal(same, labels)
    expected = (softmax(scores) if rule == "max-logit" else scores / scores.sum(-1, keepdims=True)).max(-1)
    np.testing.assert_allclose(confidence, expected, rtol=1e-4)


def test_label_maps_give_every_branch_and_every_rule():
    images = photo(17, 29, batch=2)
    rules = {"a": ("max-logit", "image"), "b": ("mean-probability", "image"), "c": ("max-probability", "map")}
    inference = Inference([FIRST, SECOND])
    maps = inference.label_maps(tf.constant(images), rules=rules)
    assert list(maps) == ["S1", "S2", "All", "a", "b", "c"]
    for name, value in logits(images).items():
        assert_mostly_equal(maps[name].numpy(), value.argmax(-1))
    assert_mostly_equal(maps["b"].numpy(), merged(logits(images), "mean-probability").argmax(-1))
    expected = bilinear(merged(logits(images, at="map"), "max-probability"), 17, 29).argmax(-1)
    assert_mostly_equal(maps["c"].numpy(), expected)
    assert list(inference.label_maps(tf.constant(images))) == ["S1", "S2", "All", MAX_MERGE]


def test_a_branch_outside_the_merge_is_shown_but_not_merged():
    images = photo(16, 16)
    inference = Inference([FIRST, SECOND], merged=["S1", "All"])
    maps = inference.label_maps(tf.constant(images))
    assert list(maps) == ["S1", "S2", "All", MAX_MERGE]
    two = {name: value for name, value in logits(images).items() if name != "S2"}
    assert_mostly_equal(maps[MAX_MERGE].numpy(), merged(two, "max-logit").argmax(-1))
    assert (maps[MAX_MERGE].numpy() != merged(logits(images), "max-logit").argmax(-1)).any()


def test_one_branch_has_nothing_to_merge():
    assert list(Inference([SECOND]).label_maps(tf.constant(photo(8, 8)))) == ["All"]


def test_label_maps_of_another_size():
    maps = Inference([SECOND]).label_maps(tf.constant(photo(16, 32)), size=(33, 65))
    assert maps["All"].shape == (1, 33, 65)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (65, 129), (64, 128)])
def test_every_size_gives_maps_of_that_size(size):
    for member in (FIRST, dataclasses.replace(FIRST, scale=0.5), dataclasses.replace(FIRST, size=(12, 20))):
        assert run(Inference([member]).segment, photo(*size)).shape == (1, *size)


def test_the_network_sees_whole_levels_at_its_own_size():
    seen = []

    class Spy(Stub):
        def __call__(self, images, **kwargs):
            seen.append(images.numpy())
            return super().__call__(images, **kwargs)

    member = Member(Spy(1, ["S1"]), {"S1": "S1"}, mean=MEAN, scale=0.5)
    Inference([member]).segment(tf.constant(photo(64, 129)))
    (image,) = seen
    assert image.shape == (1, 32, 64, 3)
    levels = image + np.float32(MEAN)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    assert levels.min() >= 0 and levels.max() <= 255


def test_networks_with_different_input_sizes_merge():
    images = photo(32, 64)
    half = dataclasses.replace(SECOND, scale=0.5)
    for merge_at in ("image", "map"):
        assert run(Inference([FIRST, half], merge_at=merge_at).segment, images).shape == (1, 32, 64)


def test_equal_names_are_refused():
    with pytest.raises(ValueError, match="differ"):
        Inference([FIRST, FIRST])


def test_flip_averages_the_mirror_image():
    """Symmetric by construction, even where the network is not: here it drops what lies between its pixels."""
    images = photo(18, 30)
    plain, flipped = Inference([FIRST, SECOND]), Inference([FIRST, SECOND], flip=True)
    mirror = np.ascontiguousarray(images[:, :, ::-1])
    labels = run(flipped.segment, images).numpy()
    np.testing.assert_array_equal(run(flipped.segment, mirror)[:, :, ::-1], labels)
    assert (run(plain.segment, mirror).numpy()[:, :, ::-1] != run(plain.segment, images).numpy()).any()

    both = [logits(images), {name: maps[:, :, ::-1] for name, maps in logits(mirror).items()}]
    averaged = {name: (both[0][name] + both[1][name]) / 2 for name in both[0]}
    assert_mostly_equal(labels, merged(averaged, "max-logit").argmax(-1))


def test_segment_at_another_size():
    assert Inference([SECOND]).segment(tf.constant(photo(16, 32)), size=(33, 65)).shape == (1, 33, 65)


def test_windows_that_hold_the_image_change_nothing_and_smaller_ones_do():
    images = photo(33, 65, batch=2)
    whole = Inference([FIRST, SECOND]).logits(tf.constant(images))
    for window, same in (((40, 70), True), ((32, 32), False)):
        members = [dataclasses.replace(FIRST, window=window), SECOND]
        found = Inference(members).logits(tf.constant(images))
        np.testing.assert_array_equal(found["All"], whole["All"])
        for name in ("S1", "S2"):
            assert np.allclose(found[name], whole[name], atol=1e-5) == same, (window, name)
