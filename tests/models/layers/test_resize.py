"""Up-sampling, against the formula and Torch."""

import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded

from msda_tf.models.layers.resize import upsample

SIZES = [((9, 17), (65, 129)), ((5, 3), (5, 3)), ((1, 4), (7, 9)), ((3, 1), (2, 2)), ((4, 6), (1, 11))]


def by_formula(maps, size, align_corners):
    """Bilinear interpolation along rows, then along columns."""

    def matrix(n_in, n_out):
        weights = np.zeros((n_out, n_in))
        for i in range(n_out):
            if align_corners:
                position = i * (n_in - 1) / (n_out - 1) if n_out > 1 else 0.0
            else:
                position = min(max((i + 0.5) * n_in / n_out - 0.5, 0), n_in - 1)
            low = min(int(position), n_in - 1)
            weights[i, low] += 1 - (position - low)
            weights[i, min(low + 1, n_in - 1)] += position - low
        return weights

    rows, columns = matrix(maps.shape[1], size[0]), matrix(maps.shape[2], size[1])
    return np.einsum("ih,jw,bhwc->bijc", rows, columns, maps)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_against_the_formula(small, large, align_corners):
    maps = seeded("maps", (2, *small, 3))
    expected = by_formula(maps, large, align_corners)
    assert relative_error(upsample(maps, large, align_corners=align_corners), expected) < 1e-5


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_value_and_gradient_against_torch(small, large, align_corners):
    torch = pytest.importorskip("torch")
    maps, upstream = tf.constant(seeded("maps", (2, *small, 3))), seeded("upstream", (2, *large, 3))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        y = upsample(maps, large, align_corners=align_corners)
    gradient = tape.gradient(y, maps, output_gradients=upstream)
    tensor = torch.from_numpy(maps.numpy().transpose(0, 3, 1, 2).copy()).requires_grad_(True)
    output = torch.nn.functional.interpolate(tensor, size=large, mode="bilinear", align_corners=align_corners)
    output.backward(torch.from_numpy(upstream.transpose(0, 3, 1, 2).copy()))
    assert relative_error(y, output.detach().permute(0, 2, 3, 1).numpy()) < 1e-5
    assert relative_error(gradient, tensor.grad.permute(0, 2, 3, 1).numpy()) < 1e-5


def test_half_pixel_centres_are_those_of_tf_image_resize():
    maps = seeded("maps", (2, 9, 17, 3))
    expected = tf.image.resize(maps, (65, 129))
    np.testing.assert_allclose(upsample(maps, (65, 129), align_corners=False), expected, rtol=1e-5, atol=1e-6)


def test_size_as_a_tensor_and_half_precision_maps():
    maps = seeded("maps", (1, 3, 5, 2))
    by_tensor = tf.function(lambda size: upsample(tf.cast(maps, tf.float16), size))(tf.constant([9, 11]))
    assert by_tensor.dtype == tf.float32
    assert relative_error(by_tensor, upsample(maps, (9, 11)).numpy()) < 1e-3
