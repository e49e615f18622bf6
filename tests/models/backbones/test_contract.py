"""What every backbone promises (`msda_tf.models.backbones.contract`), on a small one of each family."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded, seeded_image
from small_backbones import SMALL_BACKBONES

from msda_tf.models.backbones import BACKBONES
from msda_tf.models.segmenter import MultiSourceSegmenter

pytestmark = pytest.mark.parametrize("family", SMALL_BACKBONES)

HEIGHT, WIDTH = 65, 129


def small(family, *, norm="frozen", recompute=False):
    """With variables; their random start is replaced by one in which every variable matters."""
    backbone = SMALL_BACKBONES[family](norm=norm, recompute=recompute)
    backbone.build((None, None, None, 3))
    for variable in backbone.variables:
        if variable.path.endswith("moving_variance"):
            variable.assign(seeded(variable.path, variable.shape, 0.5, 1.5))
        elif len(variable.shape) < 2:
            variable.assign(variable + 0.1 * seeded(variable.path, variable.shape))
    return backbone


def test_four_maps_of_any_size_and_shape(family):
    backbone = small(family)
    names = {variable.path for variable in backbone.variables}
    assert len(names) == len(backbone.variables) > 0
    in_graph = tf.function(backbone, input_signature=[tf.TensorSpec([None, None, None, 3])])
    for batch, height, width in ((1, HEIGHT, WIDTH), (2, 47, 32)):
        images = seeded_image("contract", height, width, batch)
        maps, again = backbone(images), in_graph(images)
        assert len(maps) == len(again) == len(backbone.channels) == len(backbone.strides) == 4
        for number, map_ in enumerate(maps):
            assert map_.shape[0] == batch and map_.shape[-1] == backbone.channels[number]
            for got, pixels in zip(map_.shape[1:3], (height, width), strict=True):
                # Torch's ceil-mode pooling adds one.
                assert got - -(-pixels // backbone.strides[number]) in (0, 1)
            assert relative_error(again[number], map_) < 1e-5
    assert {variable.path for variable in backbone.variables} == names  # none made on the way
    assert list(backbone.strides) == sorted(backbone.strides)


def test_the_family_is_in_the_table(family):
    made = {entry.module for entry in BACKBONES.values()}
    assert type(small(family)).__module__ in made
    assert small(family).family == family


def test_a_checkpoint_holds_every_variable(family, tmp_path):
    saved, restored = small(family), small(family)
    for number, variable in enumerate(saved.variables):
        variable.assign(tf.fill(variable.shape, float(number + 2)))
    path = tf.train.Checkpoint(backbone=saved).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(backbone=restored).read(path).assert_consumed()
    for number, variable in enumerate(restored.variables):
        assert np.all(variable.numpy() == number + 2), variable.path


def test_recomputing_gives_the_same_maps_and_gradients(family):
    images = tf.constant(seeded_image("recompute", HEIGHT, WIDTH))

    def run(recompute):
        backbone = small(family, recompute=recompute)
        for variable in backbone.variables:
            if len(variable.shape) > 1:
                variable.assign(seeded(variable.path, variable.shape) / np.prod(variable.shape[:-1]) ** 0.5)

        with tf.GradientTape() as tape:
            maps = backbone(images, training=True)
            loss = tf.add_n([tf.reduce_mean(tf.square(map_)) for map_ in maps])
        return maps, tape.gradient(loss, [variable.value for variable in backbone.trainable_variables])

    (maps, gradients), (again, gradients_again) = run(False), run(True)
    for a, b in zip([*maps, *gradients], [*again, *gradients_again], strict=True):
        assert relative_error(b, a) < 1e-4


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(family, policy):
    images = seeded_image("mixed", HEIGHT, WIDTH)
    exact = small(family)
    old = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(policy)
        mixed = small(family)
    finally:
        keras.config.set_dtype_policy(old)
    for mixed_variable, variable in zip(mixed.variables, exact.variables, strict=True):
        assert mixed_variable.dtype == "float32"
        mixed_variable.assign(variable)
    compute = tf.as_dtype(mixed.compute_dtype)
    for map_, expected in zip(mixed(tf.cast(images, compute)), exact(images), strict=True):
        assert map_.dtype == compute
        assert relative_error(tf.cast(map_, tf.float32), expected) < 0.1


def test_folding_keeps_the_maps(family):
    images = seeded_image("fold", HEIGHT, WIDTH)
    backbone = small(family)
    before, pairs = backbone(images), backbone.foldable()
    for convolution, norm in pairs:
        norm.fold_into(convolution)
    for map_, expected in zip(backbone(images), before, strict=True):
        assert relative_error(map_, expected) < 1e-5
    norms = [variable for variable in backbone.variables if variable.path.endswith("moving_mean")]
    assert len(pairs) == len(norms)


def test_branches_at_two_levels(family):
    segmenter = MultiSourceSegmenter(
        branches=("S1", "S-All"), num_classes=5, backbone=SMALL_BACKBONES[family], rates=(2,), discriminator_width=2
    )
    segmenter.create_variables()
    logits = segmenter(seeded_image("levels", HEIGHT, WIDTH))
    for number, level in ((2, "feature"), (3, "output")):
        stride = segmenter.backbone.strides[number]
        for branch in ("S1", "S-All"):
            assert logits[level][branch].shape[1] - -(-HEIGHT // stride) in (0, 1)
            assert logits[level][branch].shape[-1] == 5
