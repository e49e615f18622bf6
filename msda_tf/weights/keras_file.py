"""Reading Keras' files: `.weights.h5` and `.keras` of Keras 3, and the `.h5` in which keras.applications come."""

import io
import pathlib
import re
import zipfile

import h5py
import numpy as np

from msda_tf.errors import MsdaError, UsageError

WEIGHTS_IN_ARCHIVE = "model.weights.h5"
"""The member of a `.keras` archive that holds the weights."""

# A layer's variables in order: Keras 3 stores only their positions, and some old files have other names.
_TENSORS = {"conv": ("kernel", "bias"), "bn": ("gamma", "beta", "moving_mean", "moving_variance")}

# `conv3_block2_1_bn`, or ResNetV2's `conv3_block2_preact_bn`.
LAYER = re.compile(r"(conv1|post|conv\d+_block\d+_(\d|preact))_(conv|bn)")


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a keras.applications ResNet, at any depth of the file, as `conv2_block1_1_bn/gamma`.

    Tensors of other layers, such as a classifier, are listed without their content.

    Raises:
      UsageError: no layer of the file has such a name.
      MsdaError: the file is damaged.
    """
    tensors: dict[str, np.ndarray] = {}
    others: set[str] = set()

    def visit(name, group):
        if not isinstance(group, h5py.Group) or name.startswith("optimizer"):
            return
        if "weight_names" in group.attrs:  # .h5
            positions: dict[str, int] = {}
            for weight in group.attrs["weight_names"]:
                weight = weight.decode() if isinstance(weight, bytes) else weight
                # A layer inside a nested model, or the group's own.
                own = name.rsplit("/", 1)[-1]
                layer = next((part for part in weight.split("/") if LAYER.fullmatch(part)), own)
                keep(layer, positions.setdefault(layer, 0), group[weight])
                positions[layer] += 1
        elif name.endswith("vars") and "name" in group.attrs:  # .weights.h5 and .keras
            for position, dataset in group.items():
                keep(str(group.attrs["name"]), int(position), dataset)

    def keep(layer, position, dataset):
        if LAYER.fullmatch(layer):
            names = _TENSORS[layer.rsplit("_", 1)[-1]]
            tensors[f"{layer}/{names[position]}"] = np.asarray(dataset, np.float32)
        else:
            others.add(f"{layer}/{position}")

    try:
        with _open(path) as file:
            file.visititems(visit)
    except (OSError, LookupError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise MsdaError(f"{path} is damaged ({reason}): get it again") from None
    if not tensors:
        found = f"it has {', '.join(sorted(others)[:3])}" if others else "its layers have no names"
        raise UsageError(
            f"{path} holds no keras.applications ResNet ({found}; expected conv1_conv, conv2_block1_1_conv, ...)"
        )
    return tensors | {name: np.empty(0, np.float32) for name in others}


def _open(path: pathlib.Path) -> h5py.File:
    if not zipfile.is_zipfile(path):
        return h5py.File(path)
    with zipfile.ZipFile(path) as archive:
        return h5py.File(io.BytesIO(archive.read(WEIGHTS_IN_ARCHIVE)))
