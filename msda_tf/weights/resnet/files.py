"""Which files hold weights of a ResNet: Keras' and Torch's, seen from their content."""

import pathlib
import zipfile

from msda_tf.errors import UsageError
from msda_tf.models.backbones.atrous_resnet import DEPTHS
from msda_tf.weights import keras_file, torch_file
from msda_tf.weights.conversion import Conversion
from msda_tf.weights.resnet import imagenet as keras_imagenet
from msda_tf.weights.resnet import keras_resnet, torch_resnet


def imagenet(backbone) -> pathlib.Path:
    """The file of keras.applications' ImageNet weights, in Keras' cache or downloaded by Keras. See `imagenet.file`."""
    return keras_imagenet.file(backbone.depth)


def convert(path: pathlib.Path, start: bytes, segmenter) -> Conversion | None:
    """Translates a Keras file or a Torch file; None if it is neither.

    Raises:
      UsageError: it holds another network than a ResNet, or Torch is needed and missing.
      MsdaError: it is damaged.
    """
    if start.startswith(b"\x89HDF") or _is_keras_archive(path):
        return keras_resnet.convert(path, keras_file.read(path))
    # A zip archive, or a pickle as Torch wrote it before 1.6.
    if start.startswith((b"PK", b"\x80")):
        return torch_resnet.convert(
            path,
            torch_file.read(path),
            branches=segmenter.branches,
            num_classes=segmenter.num_classes,
            rates=segmenter.rates,
        )
    return None


def check(path: pathlib.Path, conversion: Conversion, backbone) -> None:
    """Raises UsageError if the file holds a ResNet of another depth."""
    blocks, own = _blocks(conversion), tuple(backbone.depth.blocks)
    if blocks == own:
        return
    names = {depth.blocks: f" ({name})" for name, depth in DEPTHS.items() if depth.planes == (64, 128, 256, 512)}
    raise UsageError(
        f"{path} holds a ResNet of {_listed(blocks)} blocks{names.get(blocks, '')}, this network's has {_listed(own)}"
        f"{names.get(own, '')}: choose the other backbone or another file"
    )


def _blocks(conversion: Conversion) -> tuple[int, ...]:
    """Number of bottlenecks found in stages 1 to 4."""
    names = {name.split("/")[1] for name in conversion.candidates if name.startswith("backbone/layer")}
    return tuple(sum(name.startswith(f"layer{stage}_") for name in names) for stage in (1, 2, 3, 4))


def _is_keras_archive(path: pathlib.Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return keras_file.WEIGHTS_IN_ARCHIVE in archive.namelist()


def _listed(blocks) -> str:
    return ", ".join(map(str, blocks))
