"""Which files hold weights of a MiT: its authors' `.pth` and Hugging Face's safetensors, seen from their keys."""

import pathlib
import re

import numpy as np

from msda_tf.errors import UsageError
from msda_tf.models.backbones.mit import SIZES
from msda_tf.weights import tensor_file
from msda_tf.weights.conversion import Candidate, Conversion

# Both names of each layer; the authors number stages from 1, Hugging Face from 0.
_AUTHORS = re.compile(r"(patch_embed|block|norm)(\d)(?:\.(\d+))?(?:\.(.+))?\.(weight|bias)")
_HUGGING_FACE = re.compile(r"(patch_embeddings|block|layer_norm)\.(\d)(?:\.(\d+))?(?:\.(.+))?\.(weight|bias)")
_LAYERS = {
    "proj": "projection", "norm": "norm", "layer_norm": "norm",
    "norm1": "norm1", "layer_norm_1": "norm1", "norm2": "norm2", "layer_norm_2": "norm2",
    "attn.q": "query", "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
    "attn.proj": "project", "attention.output.dense": "project", "attn.sr": "reduce", "attention.self.sr": "reduce",
    "attn.norm": "reduce_norm", "attention.self.layer_norm": "reduce_norm", "mlp.fc1": "expand",
    "mlp.dense1": "expand", "mlp.dwconv.dwconv": "depthwise", "mlp.fc2": "contract", "mlp.dense2": "contract",
}  # fmt: skip
_STREET_CLASSES = 19


def imagenet(backbone) -> pathlib.Path:
    """Raises UsageError: there is no package of these weights, and no server that stays."""
    raise UsageError(
        f"there is no package of ImageNet weights for {_name(backbone.size.channels, backbone.size.depths)}: get "
        "model.safetensors of Hugging Face's nvidia/mit-b0 to -b5 (or the authors' mit_b0.pth to mit_b5.pth) and name "
        "it with --init PATH, or --init none"
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
    kind, prefix, pattern = _layout(path, tensors)
    conversion = Conversion(kind)
    _note_tuning(tensors, conversion)
    for key, value in tensors.items():
        match = pattern.fullmatch(key.removeprefix(prefix)) if key.startswith(prefix) else None
        pieces = _pieces(match, value) if match else {}
        for variable, (piece, how) in pieces.items():
            conversion.candidates[variable] = Candidate(piece, key, how)
        if not pieces:
            conversion.unused.append(key)
    return conversion


def check(path: pathlib.Path, conversion: Conversion, backbone) -> None:
    """Raises UsageError if the file holds a MiT of another size."""
    names = conversion.candidates
    channels = tuple(
        len(names[f"backbone/norm_{stage}/gamma"].value) if f"backbone/norm_{stage}/gamma" in names else 0
        for stage in range(1, 5)
    )
    depths = tuple(
        len({name.split("/")[1] for name in names if name.startswith(f"backbone/block_{stage}_")})
        for stage in range(1, 5)
    )
    found, own = _name(channels, depths), _name(backbone.size.channels, backbone.size.depths)
    if (channels, depths) != (tuple(backbone.size.channels), tuple(backbone.size.depths)):
        raise UsageError(
            f"{path} holds {found}, this network's backbone is {own}: choose the other backbone or another file"
        )


def _layout(path, tensors) -> tuple[str, str, re.Pattern]:
    """(kind of file, what stands before each key, pattern of the rest)."""
    for ending, kind, pattern in (
        ("patch_embed1.proj.weight", "MiT of SegFormer's authors", _AUTHORS),
        ("patch_embeddings.0.proj.weight", "MiT of Hugging Face", _HUGGING_FACE),
    ):
        for key in tensors:
            if key.endswith(ending):
                return kind, key.removesuffix(ending), pattern
    raise UsageError(
        f"{path} holds no MiT (it has {', '.join(list(tensors)[:3])}; expected patch_embed1.proj.weight or "
        "segformer.encoder.patch_embeddings.0.proj.weight)"
    )


def _note_tuning(tensors, conversion):
    """Says on how many classes a segmentation network was tuned."""
    heads = ("decode_head.classifier.weight", "decode_head.linear_pred.weight", "decode_head.conv_seg.weight")
    classes = {len(value) for key, value in tensors.items() if key.endswith(heads)}
    conversion.tuned_on_streets = _STREET_CLASSES in classes
    if classes:
        conversion.notes.append(
            f"tuned to segment {', '.join(map(str, sorted(classes)))} classes, not only on ImageNet"
        )


def _pieces(match, value: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    """This project's variables of one tensor: {name: (value, how)}; the authors' keys and values are one tensor."""
    part, stage, number, layer, tensor = match.groups()
    stage = int(stage) + (match.re is _HUGGING_FACE)
    if part in ("norm", "layer_norm") and number is layer is None:
        return {f"backbone/norm_{stage}/{'gamma' if tensor == 'weight' else 'beta'}": (value, "copied")}
    if part.startswith("patch") and number is None and layer in ("proj", "norm", "layer_norm"):
        return _named(f"backbone/embedding_{stage}/{_LAYERS[layer]}", tensor, value)
    if part != "block" or number is None:
        return {}
    block = f"backbone/block_{stage}_{number}"
    if layer == "attn.kv" and len(value) % 2 == 0:
        key, other = np.split(value, 2)
        return _named(f"{block}/key", tensor, key) | _named(f"{block}/value", tensor, other)
    return _named(f"{block}/{_LAYERS[layer]}", tensor, value) if layer in _LAYERS else {}


def _named(layer: str, tensor: str, value: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    if layer.rsplit("/", 1)[1] in ("norm", "norm1", "norm2", "reduce_norm"):
        return {f"{layer}/{'gamma' if tensor == 'weight' else 'beta'}": (value, "copied")}
    if tensor == "bias":
        return {f"{layer}/bias": (value, "copied")}
    if value.ndim == 4:
        # Torch has [C, 1, K, K] for a depthwise kernel, [O, I, K, K] otherwise.
        axes = (2, 3, 0, 1) if layer.endswith("/depthwise") else (2, 3, 1, 0)
        return {f"{layer}/kernel": (value.transpose(axes), "transposed")}
    return {f"{layer}/kernel": (value.T, "transposed")}


def _name(channels, depths) -> str:
    """The name of a size."""
    found = (name for name, size in SIZES.items() if (size.channels, size.depths) == (tuple(channels), tuple(depths)))
    return next(found, f"a MiT of {', '.join(map(str, depths))} blocks and {', '.join(map(str, channels))} channels")
