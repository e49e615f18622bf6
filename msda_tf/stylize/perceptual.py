"""The features that a translation should keep: VGG16's relu5_3, or those of a small network of random weights."""

import keras
import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.stylize.frechet import random_kernel
from msda_tf.weights import keras_cache

URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
MD5 = "6d6bbae143d832006294945121d1f1fc"  # as keras.applications lists it

_MEAN_BGR = (103.939, 116.779, 123.68)


class PerceptualFeatures:
    """Features of images, float32 `[B, H / 16, W / 16, 512]`, from images `[B, H, W, 3]` in -1..1.

    Always in float32: the middle layers' values come close to the largest of float16.

    Args:
      weights: "imagenet" or a file as keras.applications publishes it; None: random ones.
    """

    def __init__(self, weights):
        vgg = keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
        if weights is not None:
            vgg.load_weights(str(weights))
        self._model = keras.Model(vgg.input, vgg.get_layer("block5_conv3").output)
        self._model.trainable = False

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        bgr = (images[..., ::-1] + 1.0) * 127.5 - tf.constant(_MEAN_BGR)
        return self._model(bgr, training=False)


class RandomFeatures:
    """Features of images, float32 `[B, H / 2, W / 2, 32]`, from images `[B, H, W, 3]` in -1..1 (even H and W).

    Three 3x3 convolutions with ReLU and fixed random weights, the second of stride 2. Random convolutions answer to
    edges and textures: enough to tell where things are, though not what they are. These weights are not those by
    which `frechet.random_features` judges the result.

    Source of the idea: K. He et al., "A Powerful Generative Model Using Random Weights for the Deep Image
    Representation", NIPS 2016.
    """

    _CHANNELS, _STRIDES, _SEED = (16, 32, 32), (1, 2, 1), 20160616

    def __init__(self):
        random, inputs, self._kernels = np.random.RandomState(self._SEED), 3, []
        for filters in self._CHANNELS:
            self._kernels.append(random_kernel(random, inputs, filters))
            inputs = filters

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        x = images
        for kernel, stride in zip(self._kernels, self._STRIDES, strict=True):
            x = tf.nn.relu(tf.nn.conv2d(x, tf.constant(kernel), stride, "SAME"))
        return x


def find() -> tuple[str | None, str]:
    """(path of the weights or None, one line about it): from Keras' cache, or downloaded by Keras."""
    try:
        path = keras_cache.cached(URL, MD5, otherwise="go on without the term")
    except MsdaError as error:
        return None, f"the VGG16 term (perceptual_weight) is off: {error}; perceptual_features=random needs none"
    return str(path), f"the VGG16 term uses {path}"
