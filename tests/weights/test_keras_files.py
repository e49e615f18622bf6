"""Keras files, by running keras.applications' network and this project's on the same photograph."""

import h5py
import keras
import numpy as np
import pytest
from keras_resnet_files import dilated_clone, randomize, small_resnet
from networks import SMALL, relative_error, small_segmenter
from seeded import seeded_image

from msda_tf import weights
from msda_tf.errors import UsageError
from msda_tf.models.backbones.atrous_resnet import DEPTHS

MEAN_RGB = np.array([123.68, 116.779, 103.939], np.float32)
"""What `keras.applications.resnet.preprocess_input` subtracts."""


def photograph(height=65, width=129):
    """RGB, 0-255, of a size at which floor-mode pooling (Keras) and ceil-mode pooling (DeepLab) agree."""
    return np.clip(seeded_image("photograph", height, width) + 115, 0, 255)


def expected_maps(model, stages):
    """Stage 3 and 4 of Keras' network on the photograph, prepared as Keras prepares it."""
    images = keras.applications.resnet.preprocess_input(photograph().copy())
    outputs = [model.get_layer(name).output for name in stages]
    return keras.Model(model.input, outputs)(images, training=False)


def check(segmenter, expected):
    for own, theirs in zip(segmenter.backbone(photograph() - MEAN_RGB)[2:], expected, strict=True):
        assert relative_error(own, keras.ops.convert_to_numpy(theirs)) < 1e-5


@pytest.fixture(scope="module")
def small():
    """The small network as ImageNet would have trained it, and what its weights give with dilation."""
    model = randomize(small_resnet(SMALL, dilated=False))
    dilated = small_resnet(SMALL, dilated=True)
    dilated.set_weights(model.get_weights())
    return model, expected_maps(dilated, ("conv4_block3_out", "conv5_block2_out"))


def as_keras_2(model, path, tensor_name):
    """The layout of the files of keras.applications: one group a layer, byte strings, ":0" after each name."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [tensor_name(layer.name, weight.path.rsplit("/", 1)[-1]) for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = weight.numpy()


@pytest.mark.parametrize(
    "form", ["weights.h5", "h5", "keras", "applications", "old names", "nested.weights.h5", "nested.h5"]
)
def test_every_form_of_file(small, tmp_path, form):
    model, expected = small
    path = tmp_path / "resnet.bin"  # the content tells, not the name
    if form == "applications":
        as_keras_2(model, path, lambda layer, tensor: f"{layer}/{tensor}:0")
    elif form == "old names":
        letters = {"kernel": "W", "bias": "b"}
        as_keras_2(model, path, lambda layer, tensor: f"{layer}_1/{layer}_{letters.get(tensor, tensor)}_1:0")
    else:
        if form.startswith("nested"):
            model = keras.Sequential([keras.Input((64, 64, 3)), model, keras.layers.Dense(3, name="predictions")])
        named = tmp_path / f"saved.{form}"
        (model.save_weights if form.endswith("weights.h5") else model.save)(named)
        named.rename(path)
    segmenter = small_segmenter()
    report = weights.initialize(segmenter, str(path))
    check(segmenter, expected)
    assert (report.kind, report.backbone_share) == ("keras.applications ResNet", 1)
    assert len(report.unused) == (2 if form.startswith("nested") else 0)
    how = {match.variable: match.how for match in report.matched}
    assert how["backbone/conv1/kernel"] == how["backbone/bn1/moving_mean"] == "folded"
    assert how["backbone/layer3_1/conv2/kernel"] == "copied"
    assert not any(match.variable.endswith("bias") for match in report.matched)


def test_compiled_model_with_optimizer(small, tmp_path):
    """The optimizer's slots are named after the layers, and must not be taken for them."""
    model, expected = small
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.compile("adam", "mse")
    copy.optimizer.build(copy.trainable_variables)
    copy.save(tmp_path / "model.h5")
    copy.save(tmp_path / "model.keras")
    for name in ("model.h5", "model.keras"):
        segmenter = small_segmenter()
        weights.initialize(segmenter, str(tmp_path / name))
        check(segmenter, expected)


def test_optimizer_of_keras_2(small, tmp_path):
    """Its slots are filed under the layers' own names."""
    model, expected = small
    path = tmp_path / "model.h5"
    as_keras_2(model, path, lambda layer, tensor: f"{layer}/{tensor}:0")
    with h5py.File(path, "r+") as file:
        group = file.create_group("optimizer_weights")
        names = ["Adam/iter:0", "Adam/conv1_conv/kernel/m:0", "Adam/conv1_conv/bias/m:0"]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, shape in zip(names, [(), (7, 7, 3, 8), (8,)], strict=True):
            group[name] = np.ones(shape, np.float32)
    segmenter = small_segmenter()
    weights.initialize(segmenter, str(path))
    check(segmenter, expected)


def test_epsilon_is_folded_exactly(tmp_path):
    """With variances near 0 Keras' epsilon, 1.001e-5, and this project's, 1e-5, give visibly different networks."""
    model = randomize(small_resnet(SMALL, dilated=False))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_variance.assign(np.zeros(layer.moving_variance.shape))
            layer.gamma.assign(layer.gamma.numpy() * 1.001e-5**0.5)
    dilated = small_resnet(SMALL, dilated=True)
    dilated.set_weights(model.get_weights())
    model.save_weights(tmp_path / "resnet.weights.h5")
    segmenter = small_segmenter()
    weights.initialize(segmenter, str(tmp_path / "resnet.weights.h5"))
    expected = expected_maps(dilated, ("conv4_block3_out", "conv5_block2_out"))
    check(segmenter, expected)
    for variable in segmenter.variables:
        if "moving_variance" in variable.path:
            variable.assign(np.zeros(variable.shape))
    wrong = relative_error(segmenter.backbone(photograph() - MEAN_RGB)[3], keras.ops.convert_to_numpy(expected[1]))
    assert wrong > 1e-4


def test_resnet101_of_keras_applications(tmp_path):
    model = randomize(keras.applications.ResNet101(weights=None, include_top=False, input_shape=(None, None, 3)))
    dilated = dilated_clone(model)
    dilated.set_weights(model.get_weights())
    expected = expected_maps(dilated, ("conv4_block23_out", "conv5_block3_out"))
    model.save_weights(tmp_path / "resnet101.weights.h5")
    del dilated, model
    segmenter = small_segmenter(backbone=DEPTHS["resnet101"])
    report = weights.initialize(segmenter, str(tmp_path / "resnet101.weights.h5"))
    check(segmenter, expected)
    assert report.share("backbone") == (104 + 4 * 104, 520)
    assert report.unused == ()


def test_resnet_v2_is_refused(tmp_path):
    path = tmp_path / "v2.h5"
    with h5py.File(path, "w") as file:
        for layer in ("conv1_conv", "conv2_block1_preact_bn"):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/gamma:0".encode()]
            group[f"{layer}/gamma:0"] = np.zeros(3)
    with pytest.raises(UsageError, match="is a ResNetV2, another network"):
        weights.initialize(small_segmenter(), str(path))


def test_other_keras_models_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    model.save(tmp_path / "dense.keras")
    with pytest.raises(UsageError, match=r"holds no keras.applications ResNet \(it has dense/0"):
        weights.initialize(small_segmenter(), str(tmp_path / "dense.keras"))
