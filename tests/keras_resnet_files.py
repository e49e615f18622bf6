"""keras.applications' ResNets, large and small, and their files."""

import keras
import numpy as np
from keras import layers
from seeded import seeded

STRIDES, DILATIONS = (1, 2, 1, 1), (1, 1, 2, 4)


def small_resnet(depth, dilated: bool) -> keras.Model:
    """keras.applications' ResNet (same layers, order and names) at another size.

    Args:
      depth: as `msda_tf.models.backbones.atrous_resnet.Depth`.
      dilated: strides and dilations of this project's network instead of output stride 32.
    """
    strides, dilations = (STRIDES, DILATIONS) if dilated else ((1, 2, 2, 2), (1, 1, 1, 1))

    def convolution(x, filters, size, name, stride=1, dilation=1):
        x = layers.Conv2D(filters, size, stride, "same", dilation_rate=dilation, name=f"{name}_conv")(x)
        return layers.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(x)

    image = x = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(depth.stem, 7, 2, name="conv1_conv")(x)
    x = layers.Activation("relu")(layers.BatchNormalization(epsilon=1.001e-5, name="conv1_bn")(x))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for stage in range(4):
        for block in range(depth.blocks[stage]):
            name = f"conv{stage + 2}_block{block + 1}"
            stride = strides[stage] if block == 0 else 1
            planes, out = depth.planes[stage], depth.planes[stage] * depth.expansion
            shortcut = convolution(x, out, 1, f"{name}_0", stride) if block == 0 else x
            y = layers.Activation("relu")(convolution(x, planes, 1, f"{name}_1", stride))
            y = layers.Activation("relu")(convolution(y, planes, 3, f"{name}_2", dilation=dilations[stage]))
            y = convolution(y, out, 1, f"{name}_3")
            x = layers.Activation("relu", name=f"{name}_out")(layers.Add()([shortcut, y]))
    return keras.Model(image, x, name="resnet")


def dilated_clone(model: keras.Model) -> keras.Model:
    """A keras.applications ResNet with the strides and dilations of this project's network, sharing no weights."""

    def edited(layer):
        config = layer.get_config()
        name = layer.name
        if name.startswith(("conv4", "conv5")) and name.endswith("_conv"):
            config["strides"] = 1
            if "_2_conv" in name:
                config["dilation_rate"] = 2 if name.startswith("conv4") else 4
        return layer.__class__.from_config(config)

    return keras.models.clone_model(model, clone_function=edited)


def randomize(model: keras.Model) -> keras.Model:
    """Seeded weights that keep activations near 1, biases and BatchNorm statistics included."""
    for layer in model.layers:
        for variable in layer.weights:
            tensor, name = variable.path.rsplit("/", 1)[-1], f"{layer.name}/{variable.path.rsplit('/', 1)[-1]}"
            shape = tuple(variable.shape)
            if tensor == "kernel":
                gain = (2 / np.prod(shape[:-1])) ** 0.5 / (60 if shape[2] == 3 else 1)
                value = seeded(name, shape) * np.float32(gain)
            elif tensor == "moving_variance":
                value = seeded(name, shape, 0.5, 1.5)
            elif tensor == "gamma":
                value = seeded(name, shape, 0.6, 1.4) * np.float32(0.2 if "_3_bn" in name else 1)
            else:
                value = seeded(name, shape) * np.float32(0.3)
            variable.assign(value)
    return model
