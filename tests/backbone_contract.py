"""What every backbone of the table must do, whatever it is made of: `msda_tf/models/backbones/contract.py` in checks.

Each check makes the backbone it needs from `make(norm=, recompute=)` and judges it by its public face alone. Images are
float32 `[B, H, W, 3]`, 0-255 minus a mean, of odd sizes.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from networks import relative_error
from seeded import seeded, seeded_image

from msda_tf.inference.networks import dtype_policy
from msda_tf.weights.families import FAMILIES

SIZES = ((65, 129), (97, 64))
MAPS = 4


def built(make, *, norm, recompute=False, policy="float32"):
    """A backbone with its variables, a little away from where they start, so that none is neutral."""
    with dtype_policy(policy):
        backbone = make(norm=norm, recompute=recompute)
        backbone.build((None, None, None, 3))
    for number, variable in enumerate(backbone.variables):
        if variable.dtype == "float32":
            size = 0.1 * float(np.std(variable)) if len(variable.shape) > 1 else 0.02
            variable.assign(variable + size * np.abs(seeded(f"v{number}", variable.shape)))
    return backbone


def copy(backbone, to):
    """Gives another of its kind its weights."""
    for one, other in zip(backbone.variables, to.variables, strict=True):
        other.assign(one)


def maps_of(backbone, size, training=False):
    """The four maps of one image of this size."""
    return backbone(tf.constant(seeded_image("image", *size)), training=training)


def check_build(make, *, norm):
    """All variables come from `build`, none from the first image; it is named and belongs to a known family."""
    backbone = make(norm=norm, recompute=False)
    backbone.build((None, None, None, 3))
    paths = [variable.path for variable in backbone.variables]
    assert backbone.name == "backbone" and len(paths) == len(set(paths)) > 0
    maps_of(backbone, SIZES[0])
    assert [variable.path for variable in backbone.variables] == paths
    assert backbone.family in FAMILIES


def check_sizes(make, *, norm):
    """Four maps with the channels and strides that it says it has, for images of any size, finite and not constant."""
    backbone = built(make, norm=norm)
    assert len(backbone.channels) == len(backbone.strides) == MAPS
    assert list(backbone.strides) == sorted(backbone.strides)
    for size in SIZES:
        maps = maps_of(backbone, size)
        assert len(maps) == MAPS
        for values, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
            batch, *found, depth = values.shape
            assert (batch, depth) == (1, channels)
            for pixels, side in zip(size, found, strict=True):
                # Frames round up or down, and those with ceil-mode pooling by one pixel more.
                assert math.floor(pixels / stride) <= side <= math.ceil(pixels / stride) + 1, (size, stride, found)
            assert np.isfinite(values).all() and np.std(values) > 0


def check_batches(make, *, norm):
    """An image's maps do not depend on the images beside it."""
    backbone = built(make, norm=norm)
    images = np.concatenate([seeded_image("image", *SIZES[0]), seeded_image("other", *SIZES[0])])
    for alone, together in zip(maps_of(backbone, SIZES[0]), backbone(tf.constant(images), training=False), strict=True):
        assert relative_error(together[:1], alone.numpy()) < 1e-5


def check_save_and_restore(make, folder, *, norm):
    """A checkpoint holds every variable, and a fresh backbone computes the same from it."""
    first, second = built(make, norm=norm), make(norm=norm, recompute=False)
    second.build((None, None, None, 3))
    path = tf.train.Checkpoint(backbone=first).write(str(folder / "saved"))
    tf.train.Checkpoint(backbone=second).read(path).assert_consumed()
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    for one, other in zip(maps_of(first, SIZES[0]), maps_of(second, SIZES[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def check_precision(make, *, norm, tolerance):
    """mixed_bfloat16: float32 weights, bfloat16 maps close to the float32 ones."""
    plain, mixed = built(make, norm=norm), built(make, norm=norm, policy="mixed_bfloat16")
    assert {keras.backend.standardize_dtype(v.dtype) for v in mixed.trainable_variables} == {"float32"}
    copy(plain, mixed)
    for expected, found in zip(maps_of(plain, SIZES[0]), maps_of(mixed, SIZES[0]), strict=True):
        assert found.dtype == tf.bfloat16
        assert relative_error(tf.cast(found, tf.float32), expected.numpy()) < tolerance


def check_recompute(make, *, norm):
    """Recomputed blocks give the same maps and the same gradient of every trainable variable."""
    results, start = [], built(make, norm=norm)
    for recompute in (False, True):
        backbone = built(make, norm=norm, recompute=recompute)
        copy(start, backbone)

        @tf.function
        def gradients(backbone=backbone):
            with tf.GradientTape() as tape:
                maps = maps_of(backbone, SIZES[0], training=True)
                # Each map with its own weights, so that no two cancel.
                upstream = [tf.constant(seeded(f"up{n}", tuple(m.shape))) for n, m in enumerate(maps)]
                loss = tf.add_n([tf.reduce_sum(m * up) for m, up in zip(maps, upstream, strict=True)])
            return maps, tape.gradient(loss, [variable.value for variable in backbone.trainable_variables])

        results.append(gradients())
        paths = [variable.path for variable in backbone.trainable_variables]
    (maps, plain), (again, recomputed) = results
    for one, other in zip(maps, again, strict=True):
        assert relative_error(other, one.numpy()) < 1e-5
    scale = max(float(tf.norm(gradient)) for gradient in plain)
    for path, one, other in zip(paths, plain, recomputed, strict=True):
        assert one is not None, f"{path} gets no gradient"
        # Some gradients are all but 0 (a bias before a norm): their rounding is measured against the others.
        assert float(tf.norm(one - other)) < 1e-4 * max(float(tf.norm(one)), 1e-3 * scale), path


def check_export(make, folder, *, norm):
    """A SavedModel with an open height and width computes what the backbone does."""
    backbone = built(make, norm=norm)
    module = tf.Module()
    module.backbone = backbone
    signature = tf.TensorSpec((None, None, None, 3), tf.float32)
    module.serve = tf.function(lambda images: backbone(images, training=False), input_signature=[signature])
    tf.saved_model.save(module, str(folder / "export"))
    served = tf.saved_model.load(str(folder / "export"))
    for size in SIZES:
        found = served.serve(tf.constant(seeded_image("image", *size)))
        for one, other in zip(maps_of(backbone, size), found, strict=True):
            assert relative_error(other, one.numpy()) < 1e-5


def check_foldable(make, *, norm):
    """What can be folded are pairs of the backbone's own layers, none twice."""
    backbone = built(make, norm=norm)
    own = {id(variable) for variable in backbone.variables}
    pairs = backbone.foldable()
    for pair in pairs:
        assert len(pair) == 2
        for layer in pair:
            assert layer.variables and {id(variable) for variable in layer.variables} <= own
    layers = [id(layer) for pair in pairs for layer in pair]
    assert len(layers) == len(set(layers))
