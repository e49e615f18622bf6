"""Names and colours of a served model's classes, from the export that the server runs."""

import pathlib

from msda_tf import files
from msda_tf.data.json_keys import Keys
from msda_tf.data.manifest import class_list
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import ClassList
from msda_tf.serving.versions import versions

# Beside an ONNX or LiteRT model, and within a SavedModel.
_PLACES = ("metadata.json", "assets.extra/metadata.json")


def read(path: pathlib.Path) -> ClassList:
    """The classes of an export.

    Args:
      path: its metadata.json, a version's folder, or the folder of versions, of which the newest is taken.

    Raises:
      UsageError: there is no metadata.json.
      MsdaError: it cannot be read.
    """
    metadata = path if path.is_file() else _find(path)
    try:
        return class_list(Keys(files.read_json(metadata)))
    except (OSError, ValueError) as error:  # json_keys.Damaged among them
        reason = getattr(error, "strerror", None) or error
        raise MsdaError(f"{metadata} tells of no classes ({reason}): expected the metadata.json of an export") from None


def _find(folder: pathlib.Path) -> pathlib.Path:
    for place in (folder, *reversed(versions(folder).values())):
        for name in _PLACES:
            if (place / name).is_file():
                return place / name
    raise UsageError(f"{folder} holds no metadata.json: name the folder that msda-tf export wrote, or a version in it")
