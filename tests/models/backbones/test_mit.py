"""MiT against `transformers`' SegFormer with the same random weights, through a file as Hugging Face writes it."""

import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded_image

from msda_tf import weights
from msda_tf.errors import UsageError
from msda_tf.models.backbones import mit
from msda_tf.models.backbones.mit import SIZES, MiT, Size
from msda_tf.models.segmenter import MultiSourceSegmenter

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SMALL = Size(channels=(8, 12, 20, 24), depths=(2, 1, 2, 1), heads=(1, 2, 5, 4))


def segformer(kind, **options):
    """Hugging Face's network of the size SMALL with random weights, every bias and gain away from its default."""
    config = transformers.SegformerConfig(
        hidden_sizes=SMALL.channels, depths=SMALL.depths, num_attention_heads=SMALL.heads, sr_ratios=mit.REDUCTIONS,
        decoder_hidden_size=8, **options,
    )  # fmt: skip
    torch.manual_seed(0)
    network = kind(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.15 if parameter.ndim < 2 else 0.05))
    return network


def segmenter(size=SMALL):
    made = MultiSourceSegmenter(
        branches=("S1",), num_classes=3, rates=(2,), discriminators="none",
        backbone=lambda norm, recompute: MiT(size, recompute=recompute),
    )  # fmt: skip
    made.create_variables()
    return made


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(Torch's classifier, its file, a segmenter that started from the file, the import's report)."""
    network = segformer(transformers.SegformerForImageClassification)
    folder = tmp_path_factory.mktemp("mit")
    network.save_pretrained(folder)
    path = folder / "model.safetensors"
    own = segmenter()
    return network, path, own, weights.initialize(own, str(path))


def torch_maps(network, images):
    """The four stages' maps, with their graph, and the images as Torch's input."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    x = (x / torch.tensor(mit.INPUT_STD).reshape(1, 3, 1, 1)).requires_grad_()
    maps, y = [], x
    for stage in network.segformer.stages:
        y = stage(y)
        if y.ndim == 3:
            raise AssertionError("a stage without its shape")
        maps.append(y)
    return x, maps


@pytest.mark.parametrize("size", [(64, 96), (65, 129), (107, 75)])
def test_maps_and_gradients_are_those_of_hugging_face(pair, size):
    network, _, own, _ = pair
    images = seeded_image("mit", *size)
    x, expected = torch_maps(network, images)
    network.zero_grad()
    sum((map_**2).mean() for map_ in expected).backward()
    backbone, constant = own.backbone, tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(constant)
        maps = backbone(constant)
        loss = tf.add_n([tf.reduce_mean(tf.square(map_)) for map_ in maps])
    query, depthwise, reduce = (
        backbone.block_1_0.query.kernel, backbone.block_3_1.depthwise.kernel, backbone.block_2_0.reduce.kernel,
    )  # fmt: skip
    found = tape.gradient(loss, [constant, query.value, depthwise.value, reduce.value])
    for map_, theirs in zip(maps, expected, strict=True):
        assert relative_error(map_, theirs.detach().numpy().transpose(0, 2, 3, 1)) < 1e-4
    blocks = [stage.blocks for stage in network.segformer.stages]
    theirs = [
        x.grad.numpy().transpose(0, 2, 3, 1) / np.float32(mit.INPUT_STD),
        blocks[0][0].attention.q_proj.weight.grad.numpy().T,
        blocks[2][1].mlp.dwconv.dwconv.weight.grad.numpy().transpose(2, 3, 0, 1),
        blocks[1][0].attention.sequence_reduction.sequence_reduction.weight.grad.numpy().transpose(2, 3, 1, 0),
    ]
    for gradient, other in zip(found, theirs, strict=True):
        assert relative_error(gradient, other) < 1e-4


def test_the_report_names_what_was_found(pair):
    _, _, own, report = pair
    assert report.kind == "MiT of Hugging Face" and report.backbone_share == 1
    assert set(report.unused) == {"classifier.weight", "classifier.bias"}
    assert len(report.matched) == len(own.backbone.variables) and report.notes == ()


def authors_state(network):
    """The same weights as SegFormer's authors name them: stages from 1, keys and values in one tensor."""
    state = {}
    for number, stage in enumerate(network.segformer.stages, start=1):
        layers = {f"patch_embed{number}.proj": stage.patch_embeddings.proj}
        layers |= {f"patch_embed{number}.norm": stage.patch_embeddings.layer_norm, f"norm{number}": stage.layer_norm}
        for position, block in enumerate(stage.blocks):
            name, attention = f"block{number}.{position}", block.attention
            layers |= {f"{name}.norm1": block.layernorm_before, f"{name}.norm2": block.layernorm_after}
            layers |= {f"{name}.attn.q": attention.q_proj, f"{name}.attn.proj": attention.o_proj}
            layers |= {f"{name}.mlp.fc1": block.mlp.fc1, f"{name}.mlp.fc2": block.mlp.fc2}
            layers[f"{name}.mlp.dwconv.dwconv"] = block.mlp.dwconv.dwconv
            if number < 4:
                layers[f"{name}.attn.sr"] = attention.sequence_reduction.sequence_reduction
                layers[f"{name}.attn.norm"] = attention.sequence_reduction.layer_norm
            for tensor in ("weight", "bias"):
                both = [getattr(attention.k_proj, tensor), getattr(attention.v_proj, tensor)]
                state[f"{name}.attn.kv.{tensor}"] = torch.cat(both).detach()
        for name, layer in layers.items():
            state |= {f"{name}.{tensor}": getattr(layer, tensor).detach() for tensor in ("weight", "bias")}
    return state


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_the_authors_file_gives_the_same_network(pair, tmp_path, prefix):
    network, _, own, _ = pair
    state = {prefix + name: value for name, value in authors_state(network).items()}
    torch.save({"state_dict": state | {"head.weight": torch.zeros(4, 24)}}, tmp_path / "mit_b0.pth")
    other = segmenter()
    report = weights.initialize(other, str(tmp_path / "mit_b0.pth"))
    assert report.kind == "MiT of SegFormer's authors" and report.unused == ("head.weight",)
    for one, two in zip(own.backbone.variables, other.backbone.variables, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("classes", [19, 150])
def test_weights_that_may_have_seen_the_targets_labels(tmp_path, classes):
    segformer(transformers.SegformerForSemanticSegmentation, num_labels=classes).save_pretrained(tmp_path)
    path, own = str(tmp_path / "model.safetensors"), segmenter()
    if classes == 19:
        with pytest.raises(
            UsageError, match="19 classes, as Cityscapes has: such weights have seen the target's labels"
        ):
            weights.initialize(own, path)
    report = weights.initialize(own, path, allow_target_labels=classes == 19)
    assert report.notes == (f"tuned to segment {classes} classes, not only on ImageNet",)
    assert report.backbone_share == 1


def test_another_size_and_another_family(pair, tmp_path):
    _, path, _, _ = pair
    other = segmenter(Size(channels=(8, 12, 20, 24), depths=(1, 1, 1, 1), heads=(1, 2, 5, 4)))
    pattern = (
        r"model.safetensors holds a MiT of 2, 1, 2, 1 blocks and .*, this network's backbone is a MiT of 1, 1, 1, 1"
    )
    with pytest.raises(UsageError, match=pattern):
        weights.initialize(other, str(path))
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "resnet.pth")
    with pytest.raises(UsageError, match=r"resnet.pth holds no MiT \(it has conv1.weight; expected patch_embed1"):
        weights.initialize(other, str(tmp_path / "resnet.pth"))
    with pytest.raises(UsageError, match="no package of ImageNet weights for a MiT of 1, 1, 1, 1 blocks"):
        weights.initialize(other, "imagenet")


@pytest.mark.parametrize("name", ["mit-b0", "mit-b2"])
def test_parameters_as_published(name):
    """The encoders' figures in the paper's table: 3.4 M and 24.2 M, with their ImageNet classifier left out here."""
    backbone = MiT(SIZES[name])
    backbone.build((None, None, None, 3))
    count = sum(int(np.prod(variable.shape)) for variable in backbone.variables)
    assert count == {"mit-b0": 3_319_392, "mit-b2": 24_196_288}[name]


@pytest.mark.parametrize("size", [(1, 1), (9, 40), (16, 70)])
def test_images_smaller_than_the_reduction(pair, size):
    """Torch refuses them; here static and dynamic shapes agree."""
    backbone = pair[2].backbone
    images = seeded_image("small", *size)
    dynamic = tf.function(backbone, input_signature=[tf.TensorSpec([None, None, None, 3])])
    for one, other in zip(backbone(images), dynamic(images), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
