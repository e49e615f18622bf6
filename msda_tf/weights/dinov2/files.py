"""Which files hold weights of a DINOv2: its authors' `.pth` and Hugging Face's safetensors, seen from their keys."""

import pathlib
import re

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.models.backbones.dinov2 import SIZES
from msda_tf.weights import tensor_file
from msda_tf.weights.conversion import Candidate, Conversion

_LAYER = re.compile(r"(?:encoder\.layer|blocks)\.(\d+)\.(.+?)(?:\.(weight|bias|gamma|lambda1))")
_LAYERS = {
    "norm1": "norm1", "norm2": "norm2", "attn.proj": "project", "attention.output.dense": "project",
    "attention.attention.query": "query", "attention.attention.key": "key", "attention.attention.value": "value",
    "mlp.fc1": "expand", "mlp.fc2": "contract", "ls1": "scale1", "layer_scale1": "scale1", "ls2": "scale2",
    "layer_scale2": "scale2",
}  # fmt: skip
_PARTS = {
    "cls_token": "class_token", "embeddings.cls_token": "class_token", "pos_embed": "positions",
    "embeddings.position_embeddings": "positions", "register_tokens": "registers",
    "embeddings.register_tokens": "registers", "patch_embed.proj": "patches",
    "embeddings.patch_embeddings.projection": "patches", "norm": "norm", "layernorm": "norm",
}  # fmt: skip


def imagenet(backbone) -> pathlib.Path:
    """Raises UsageError: DINOv2 was not trained on ImageNet's labels, and no package has its weights."""
    raise UsageError(
        f"there are no ImageNet weights for {_name(backbone.size)}: get Meta's dinov2_vits14_pretrain.pth (or vitb14, "
        "vitl14, with _reg4) or model.safetensors of Hugging Face's facebook/dinov2-small (-base, -large, "
        "-with-registers-...) and name it with --init PATH, or --init none"
    )


def convert(path: pathlib.Path, start: bytes, segmenter) -> Conversion | None:
    """Translates a Torch or safetensors file; None if it is neither.

    Raises:
      UsageError: it holds another network.
      MsdaError: it is damaged.
    """
    tensors = tensor_file.read(path, start)
    if tensors is None:
        return None
    kind, prefix = _layout(path, tensors)
    conversion = Conversion(kind)
    for key, value in tensors.items():
        pieces = _pieces(path, key.removeprefix(prefix), value) if key.startswith(prefix) else {}
        for variable, (piece, how) in pieces.items():
            conversion.candidates[f"backbone/{variable}"] = Candidate(piece, key, how)
        if not pieces:
            conversion.unused.append(key)
    return conversion


def check(path: pathlib.Path, conversion: Conversion, backbone) -> None:
    """Raises UsageError if the file holds a DINOv2 of another size."""

    def shape(name):
        found = conversion.candidates.get(f"backbone/{name}")
        return found.value.shape if found else (0, 0)

    depth = len({name.split("/")[1] for name in conversion.candidates if name.startswith("backbone/block_")})
    found, size = (shape("class_token")[-1], depth, shape("registers")[0]), backbone.size
    own = (size.width, size.depth, size.registers)
    if found != own:
        names = {(each.width, each.depth, each.registers): name for name, each in SIZES.items()}
        width, depth, registers = found
        described = f"a DINOv2 of {depth} blocks, {width} channels and {registers} registers"
        raise UsageError(
            f"{path} holds {names.get(found, described)}, this network's backbone is {_name(size)}: choose the other "
            "backbone or another file"
        )


def _layout(path, tensors) -> tuple[str, str]:
    """(kind of file, what stands before each key)."""
    for ending, kind in (
        ("embeddings.patch_embeddings.projection.weight", "DINOv2 of Hugging Face"),
        ("patch_embed.proj.weight", "DINOv2 of its authors"),
    ):
        for key in tensors:
            prefix = key.removesuffix(ending)
            scaled = (f"{prefix}blocks.0.ls1.gamma", f"{prefix}encoder.layer.0.layer_scale1.lambda1")
            if prefix != key and any(name in tensors for name in scaled):
                return kind, prefix
    raise UsageError(
        f"{path} holds no DINOv2 (it has {', '.join(list(tensors)[:3])}; expected patch_embed.proj.weight and "
        "blocks.0.ls1.gamma, or Hugging Face's embeddings.patch_embeddings.projection.weight)"
    )


def _pieces(path, key: str, value: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    """This project's variables of one tensor: {name: (value, how)}."""
    match = _LAYER.fullmatch(key)
    if match:
        number, layer, tensor = match.groups()
        block = f"block_{number}"
        if layer == "attn.qkv" and len(value) % 3 == 0:  # the authors' three projections are one tensor
            parts = zip(("query", "key", "value"), np.split(value, 3), strict=True)
            return {n: p for name, part in parts for n, p in _named(f"{block}/{name}", tensor, part).items()}
        return _named(f"{block}/{_LAYERS[layer]}", tensor, value) if layer in _LAYERS else {}
    if _PARTS.get(key) == "positions":
        return _positions(path, key, value)
    if key in _PARTS:  # tokens: [1, n, C]
        return {_PARTS[key]: (value.reshape(-1, value.shape[-1]), "copied")}
    layer, _, tensor = key.rpartition(".")
    return _named(_PARTS[layer], tensor, value) if layer in _PARTS else {}


def _positions(path, key, value):
    """The class token's position and the square table of the others, of `[1, 1 + n * n, C]`."""
    side = round((value.size // value.shape[-1] - 1) ** 0.5)
    if value.ndim != 3 or len(value) != 1 or value.shape[1] != side * side + 1:
        raise UsageError(
            f"{path}: {key} is {list(value.shape)}, not the positions of a square of patches and one token"
        )
    square = value[0, 1:].reshape(side, side, -1)
    return {"class_position": (value[0, :1], "copied"), "positions": (square, "copied")}


def _named(layer: str, tensor: str, value: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    kind = layer.rsplit("/", 1)[-1]
    if kind.startswith("scale"):
        return {layer: (value, "copied")}
    if kind.startswith("norm"):
        return {f"{layer}/{'gamma' if tensor == 'weight' else 'beta'}": (value, "copied")}
    if tensor == "bias":
        return {f"{layer}/bias": (value, "copied")}
    return {f"{layer}/kernel": (value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T, "transposed")}


def _name(size) -> str:
    found = (name for name, each in SIZES.items() if each == size)
    described = f"a DINOv2 of {size.depth} blocks, {size.width} channels and {size.registers} registers"
    return next(found, described)
