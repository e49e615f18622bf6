"""Convolutions as loops over taps, in float64."""

import numpy as np


def shifted(x, down, right):
    """`y[:, i, j] = x[:, i + down, j + right]`, zero outside."""
    y = np.zeros_like(x)
    height, width = x.shape[1:3]
    for i in range(height):
        for j in range(width):
            if 0 <= i + down < height and 0 <= j + right < width:
                y[:, i, j] = x[:, i + down, j + right]
    return y


def atrous(x, kernel, dilation):
    """Dilated convolution that keeps the size: `[B, H, W, I]`, `[K, K, I, O]` to `[B, H, W, O]`."""
    x, kernel = x.astype(np.float64), kernel.astype(np.float64)
    middle = kernel.shape[0] // 2
    return sum(
        shifted(x, (i - middle) * dilation, (j - middle) * dilation) @ kernel[i, j]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )


def atrous_gradients(x, kernel, dilation, upstream):
    """Gradients of `sum(atrous(x, kernel) * upstream)` for x and kernel."""
    x, kernel, upstream = (value.astype(np.float64) for value in (x, kernel, upstream))
    middle = kernel.shape[0] // 2
    gradient_x, gradient_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            down, right = (i - middle) * dilation, (j - middle) * dilation
            gradient_x += shifted(upstream @ kernel[i, j].T, -down, -right)
            gradient_kernel[i, j] = np.einsum("bhwi,bhwo->io", shifted(x, down, right), upstream)
    return gradient_x, gradient_kernel
