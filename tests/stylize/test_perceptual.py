"""The features of VGG16, against Keras' own preprocessing and a walk through its layers; random ones against loops."""

import keras
import numpy as np
from networks import relative_error
from seeded import seeded

from msda_tf.stylize import losses
from msda_tf.stylize.images import to_network
from msda_tf.stylize.perceptual import MD5, URL, PerceptualFeatures, RandomFeatures, find


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


def test_random_features_are_three_convolutions_with_relu():
    images = seeded("picture", (1, 10, 14, 3)).astype(np.float32)
    features, random, x = RandomFeatures(), np.random.RandomState(20160616), images[0].astype(np.float64)
    for filters, stride in ((16, 1), (32, 2), (32, 1)):
        kernel = random.standard_normal((3, 3, x.shape[2], filters)) * (2 / (9 * x.shape[2])) ** 0.5
        # TensorFlow's "SAME": an even side of stride 2 has its one pixel of zeros at the end.
        before = 1 if stride == 1 else 0
        padded = np.pad(x, [(before, 1), (before, 1), (0, 0)])
        rows, columns = x.shape[0] // stride, x.shape[1] // stride
        x = np.array([
            [np.tensordot(padded[r : r + 3, c : c + 3], kernel, 3) for c in range(0, columns * stride, stride)]
            for r in range(0, rows * stride, stride)
        ]).clip(0)  # fmt: skip
    assert features(images).shape == (1, 5, 7, 32)
    assert relative_error(features(images)[0], x) < 1e-5


def test_random_features_mind_displacement_and_not_contrast():
    """Which is what they are for: a translation may look different but must lie where its original does."""
    picture = seeded("picture", (1, 64, 64, 3)).astype(np.float32)
    smooth = sum(np.roll(picture, (i, j), (1, 2)) for i in range(4) for j in range(4)) / 16

    def distance(other):
        features = RandomFeatures()
        return float(losses.perceptual(features(smooth), features(other)))

    assert distance(0.3 * smooth) < 1e-3
    assert distance(np.roll(smooth, 1, 2)) > 0.05
    assert distance(np.roll(smooth, 3, 2)) > 2 * distance(np.roll(smooth, 1, 2))
