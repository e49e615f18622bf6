"""DINOv2 against `transformers`' with the same random weights, through a file as Hugging Face writes it."""

import numpy as np
import pytest
import tensorflow as tf
from networks import relative_error
from seeded import seeded, seeded_image

from msda_tf import weights
from msda_tf.errors import UsageError
from msda_tf.models.backbones import dinov2
from msda_tf.models.backbones.dinov2 import SIZES, DinoV2, Size
from msda_tf.models.layers.bicubic import resize_table
from msda_tf.models.segmenter import MultiSourceSegmenter

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SMALL = Size(width=24, depth=4, heads=3, table=5)
WITH_REGISTERS = Size(width=24, depth=4, heads=3, registers=2, table=5)
SIZES_OF_TESTS = pytest.mark.parametrize("size", [SMALL, WITH_REGISTERS], ids=["plain", "registers"])


def hugging_face(size):
    """Its network of this size with random weights, every bias and gain away from its default."""
    options = {"hidden_size": size.width, "num_hidden_layers": size.depth, "num_attention_heads": size.heads}
    options |= {"image_size": 14 * size.table, "patch_size": 14, "layer_norm_eps": 1e-6}
    if size.registers:
        config = transformers.Dinov2WithRegistersConfig(num_register_tokens=size.registers, **options)
        network = transformers.Dinov2WithRegistersModel(config)
    else:
        network = transformers.Dinov2Model(transformers.Dinov2Config(**options))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()


def segmenter(size):
    made = MultiSourceSegmenter(
        branches=("S1",), num_classes=3, rates=(2,), discriminators="none", decoder="transposed",
        backbone=lambda norm, recompute: DinoV2(size, recompute=recompute),
    )  # fmt: skip
    made.create_variables()
    return made


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Size -> (Torch's network, its file, a segmenter that started from the file, the import's report)."""
    found = {}
    for size in (SMALL, WITH_REGISTERS):
        network, folder = hugging_face(size), tmp_path_factory.mktemp("dinov2")
        network.save_pretrained(folder)
        own, path = segmenter(size), folder / "model.safetensors"
        found[size] = network, path, own, weights.initialize(own, str(path))
    return found


@SIZES_OF_TESTS
@pytest.mark.parametrize("image", [(70, 70), (28, 98), (126, 84)])
def test_maps_and_gradients_are_those_of_hugging_face(pairs, size, image):
    network, _, own, _ = pairs[size]
    images = seeded_image("dino", *image)
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    x = (x / torch.tensor(dinov2.INPUT_STD).reshape(1, 3, 1, 1)).requires_grad_()
    network.zero_grad()
    states = network(x, output_hidden_states=True).hidden_states[1:]
    shape = (1, image[0] // 14, image[1] // 14, size.width)
    expected = [network.layernorm(state)[:, 1 + size.registers :].reshape(shape) for state in states]
    sum((map_ * torch.from_numpy(seeded(f"up{n}", shape))).mean() for n, map_ in enumerate(expected)).backward()
    backbone, constant = own.backbone, tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(constant)
        maps = backbone(constant)
        loss = tf.add_n([tf.reduce_mean(map_ * seeded(f"up{n}", shape)) for n, map_ in enumerate(maps)])
    variables = (backbone.block_0.query.kernel, backbone.block_2.scale1, backbone.positions, backbone.class_token)
    found = tape.gradient(loss, [constant, *(variable.value for variable in variables)])
    for map_, theirs in zip(maps, expected, strict=True):
        assert relative_error(map_, theirs.detach().numpy()) < 1e-4
    embeddings = network.embeddings
    layers = network.encoder.layer
    theirs = [
        x.grad.numpy().transpose(0, 2, 3, 1) / np.float32(dinov2.INPUT_STD),
        layers[0].attention.q_proj.weight.grad.numpy().T,
        layers[2].layer_scale1.lambda1.grad.numpy(),
        embeddings.position_embeddings.grad.numpy()[0, 1:].reshape(size.table, size.table, -1),
        embeddings.cls_token.grad.numpy()[0],
    ]
    for gradient, other in zip(found, theirs, strict=True):
        assert relative_error(gradient, other) < 1e-4


@SIZES_OF_TESTS
def test_the_report_names_what_was_found(pairs, size):
    _, _, own, report = pairs[size]
    assert report.kind == "DINOv2 of Hugging Face" and report.backbone_share == 1
    assert set(report.unused) == {"embeddings.mask_token"}
    assert report.share("backbone")[0] == len(own.backbone.variables)


def authors_state(network, size):
    """The same weights as DINOv2's authors name them: queries, keys and values in one tensor."""
    embeddings = network.embeddings
    state = {"cls_token": embeddings.cls_token, "pos_embed": embeddings.position_embeddings}
    state["mask_token"] = embeddings.mask_token
    if size.registers:
        state["register_tokens"] = embeddings.register_tokens
    layers = {"patch_embed.proj": embeddings.patch_embeddings.projection, "norm": network.layernorm}
    for number, layer in enumerate(network.encoder.layer):
        name, attention = f"blocks.{number}", layer.attention
        layers |= {f"{name}.norm1": layer.norm1, f"{name}.norm2": layer.norm2, f"{name}.attn.proj": attention.o_proj}
        layers |= {f"{name}.mlp.fc1": layer.mlp.fc1, f"{name}.mlp.fc2": layer.mlp.fc2}
        state[f"{name}.ls1.gamma"], state[f"{name}.ls2.gamma"] = layer.layer_scale1.lambda1, layer.layer_scale2.lambda1
        for tensor in ("weight", "bias"):
            three = [getattr(part, tensor) for part in (attention.q_proj, attention.k_proj, attention.v_proj)]
            state[f"{name}.attn.qkv.{tensor}"] = torch.cat(three)
    for name, layer in layers.items():
        state |= {f"{name}.{tensor}": getattr(layer, tensor) for tensor in ("weight", "bias")}
    return {name: value.detach() for name, value in state.items()}


@SIZES_OF_TESTS
def test_the_authors_file_gives_the_same_network(pairs, tmp_path, size):
    network, _, own, _ = pairs[size]
    torch.save(authors_state(network, size), tmp_path / "dinov2_pretrain.pth")
    other = segmenter(size)
    report = weights.initialize(other, str(tmp_path / "dinov2_pretrain.pth"))
    assert report.kind == "DINOv2 of its authors" and report.unused == ("mask_token",)
    for one, two in zip(own.backbone.variables, other.backbone.variables, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(5, 5), (3, 9), (11, 2), (1, 16)])
def test_tables_are_resized_as_in_torch(size, antialias):
    table = seeded("table", (5, 5, 3))
    x = torch.from_numpy(table.transpose(2, 0, 1).copy())[None]
    expected = torch.nn.functional.interpolate(x, size, mode="bicubic", align_corners=False, antialias=antialias)
    found = resize_table(tf.constant(table), size, antialias=antialias)
    np.testing.assert_allclose(found, expected[0].numpy().transpose(1, 2, 0), rtol=1e-4, atol=1e-5)


def test_other_sizes_are_resized_up_to_whole_patches(pairs):
    backbone = pairs[SMALL][2].backbone
    images = seeded_image("dino", 65, 129)
    resized = tf.image.resize(images, (70, 140))
    dynamic = tf.function(backbone, input_signature=[tf.TensorSpec([None, None, None, 3])])
    for one, other, whole in zip(backbone(images), dynamic(images), backbone(resized), strict=True):
        assert one.shape == (1, 5, 10, 24)
        np.testing.assert_allclose(one, whole, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_another_size_and_another_family(pairs, tmp_path):
    pattern = (
        r"holds a DINOv2 of 4 blocks, 24 channels and 2 registers, this network's backbone is a DINOv2 of 4 .* 0 reg"
    )
    with pytest.raises(UsageError, match=pattern):
        weights.initialize(segmenter(SMALL), str(pairs[WITH_REGISTERS][1]))
    torch.save({"patch_embed.proj.weight": torch.zeros(2)}, tmp_path / "vit.pth")
    with pytest.raises(UsageError, match=r"vit.pth holds no DINOv2 \(it has patch_embed.proj.weight; expected"):
        weights.initialize(segmenter(SMALL), str(tmp_path / "vit.pth"))
    with pytest.raises(UsageError, match="no ImageNet weights for a DINOv2 of 4 blocks"):
        weights.initialize(segmenter(SMALL), "imagenet")


def test_parameters_as_published():
    """22.1 M for ViT-S/14: the published file holds a mask token too, which only its own training needs."""
    backbone = DinoV2(SIZES["dinov2-s"])
    backbone.build((None, None, None, 3))
    mask_token = 384
    assert sum(int(np.prod(variable.shape)) for variable in backbone.variables) + mask_token == 22_056_576
