"""EfficientNet-Lite: published sizes, and what dilation must not change."""

import numpy as np
import pytest
from networks import relative_error
from seeded import seeded, seeded_image
from small_backbones import LITE_STAGES

from msda_tf.models.backbones import efficientnet_lite
from msda_tf.models.backbones.efficientnet_lite import SIZES, EfficientNetLite, scaled


@pytest.mark.parametrize(("name", "millions"), [
    ("efficientnet-lite0", "4.7"), ("efficientnet-lite1", "5.4"), ("efficientnet-lite2", "6.1"),
    ("efficientnet-lite3", "8.2"), ("efficientnet-lite4", "13.0"),
])  # fmt: skip
def test_parameters_as_published(name, millions):
    """Google's figures, with the 1x1 convolution to 1280 channels and the classifier of 1000 classes."""
    backbone = efficientnet_lite.make(name, norm="frozen", recompute=False)
    backbone.build((None, None, None, 3))
    own = sum(np.prod(v.shape) for v in backbone.variables if "moving" not in v.path)
    parameters = own + backbone.channels[-1] * 1280 + 2 * 1280 + 1281 * 1000
    assert f"{parameters / 1e6:.1f}" == millions
    if name == "efficientnet-lite0":
        assert parameters == 4_652_008


def test_sizes_scale_the_inner_stages():
    """Blocks and channels of the published files."""
    assert [(s.repeats, s.channels) for s in scaled(*SIZES["efficientnet-lite2"])] == [
        (1, 16), (3, 24), (3, 48), (4, 88), (4, 120), (5, 208), (1, 352),
    ]  # fmt: skip


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize(("size", "offset"), [((65, 129), "first"), ((64, 128), "last")])
def test_dilated_features_are_the_published_ones_on_a_finer_grid(output_stride, size, offset):
    """Where padding is symmetric (odd sizes) they meet at the first pixel, otherwise at the last of each cell."""
    plain, dilated = (EfficientNetLite(LITE_STAGES, output_stride=stride) for stride in (32, output_stride))
    for backbone in (plain, dilated):
        backbone.build((None, None, None, 3))
        for number, variable in enumerate(backbone.variables):
            if variable.path.endswith("moving_variance"):
                variable.assign(seeded(f"{number}", variable.shape, 0.5, 1.5))
            else:
                scale = np.prod(variable.shape[:-1]) ** -0.5 if len(variable.shape) == 4 else 0.3
                if "depthwise" in variable.path and len(variable.shape) == 4:
                    scale = 0.3
                variable.assign(seeded(f"{number}", variable.shape) * scale + variable.path.endswith("gamma"))
    images = seeded_image("dilation", *size)
    assert dilated.strides == tuple(min(stride, output_stride) for stride in plain.strides) and plain.strides[3] == 32
    for number, (fine, coarse) in enumerate(zip(dilated(images), plain(images), strict=True)):
        factor = plain.strides[number] // dilated.strides[number]
        start = 0 if offset == "first" else factor - 1
        assert relative_error(fine[:, start::factor, start::factor], coarse) < 1e-5


def test_folding_keeps_the_maps():
    backbone = EfficientNetLite(LITE_STAGES)
    backbone.build((None, None, None, 3))
    for variable in backbone.variables:
        if len(variable.shape) == 1:
            variable.assign(seeded(variable.path, variable.shape, 0.5, 1.5))
    images = seeded_image("fold", 65, 129)
    before = backbone(images)
    for convolution, norm in backbone.foldable():
        norm.fold_into(convolution)
    assert len(backbone.foldable()) == sum(variable.path.endswith("moving_mean") for variable in backbone.variables)
    for map_, expected in zip(backbone(images), before, strict=True):
        assert relative_error(map_, expected) < 1e-5


def test_group_norm_learns_from_random_weights():
    backbone = EfficientNetLite(LITE_STAGES, norm="group")
    backbone.build((None, None, None, 3))
    maps = backbone(seeded_image("random start", 65, 129))
    assert all(0.1 < np.std(map_) < 10 for map_ in maps)
    assert not backbone.foldable()
    assert len(backbone.trainable_variables) == len(backbone.variables)
