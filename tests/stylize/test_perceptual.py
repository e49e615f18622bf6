"""The features of VGG16, against Keras' own preprocessing and a walk through its layers."""

import keras
import numpy as np
from networks import relative_error
from seeded import seeded

from msda_tf.stylize.images import to_network
from msda_tf.stylize.perceptual import MD5, URL, PerceptualFeatures, find


def test_features_are_the_thirteenth_convolution_of_caffes_preprocessing(tmp_path):
    vgg = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    vgg.save_weights(tmp_path / "vgg.weights.h5")
    pictures = seeded("pictures", (2, 48, 64, 3), 0, 255).astype(np.uint8)
    x = keras.applications.vgg16.preprocess_input(pictures.astype(np.float32))
    convolutions = 0
    for layer in vgg.layers[1:]:
        x = layer(x)
        convolutions += isinstance(layer, keras.layers.Conv2D)
        if convolutions == 13:
            break
    features = PerceptualFeatures(str(tmp_path / "vgg.weights.h5"))(to_network(pictures))
    assert tuple(features.shape) == (2, 3, 4, 512)
    assert relative_error(features, x) < 1e-4


def test_weights_are_those_that_keras_knows(monkeypatch, tmp_path):
    """Keras is asked for its own file; a file of another content in its cache is refused, in one line."""
    asked = {}

    def get_file(name, origin, file_hash=None, **kwargs):
        asked.update(name=name, origin=origin, hash=file_hash)
        raise Exception("stop")

    monkeypatch.setattr(keras.src.applications.vgg16.file_utils, "get_file", get_file)
    try:
        keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    except Exception as error:
        assert str(error) == "stop"
    assert (asked["origin"], asked["hash"]) == (URL, MD5)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / asked["name"]).write_bytes(b"half a download")
    path, note = find()
    assert path is None and "is damaged" in note and "\n" not in note
