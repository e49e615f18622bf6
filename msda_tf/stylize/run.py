"""The directory of a stylize run.

RUN/config.yaml    every knob as it was used
RUN/stylize.json   data sets with checksums, whether the VGG16 term is used, versions, command line
RUN/checkpoints/   see `msda_tf.training.checkpoints`
RUN/metrics.jsonl  losses and Frechet distances by step; TensorBoard's event files lie beside it
"""

import json
import pathlib
from dataclasses import dataclass

import yaml

from msda_tf import files, runs
from msda_tf.config import knobs
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.stylize.config import FREE, StylizeConfig

FORMAT = 1
INFO = "stylize.json"


@dataclass(frozen=True)
class StylizeRun:
    """A stylize run directory's content.

    Attributes:
      directory: the folder.
      config: its configuration.
      info: the whole of stylize.json.
    """

    directory: pathlib.Path
    config: StylizeConfig
    info: dict


def exists(directory: pathlib.Path) -> bool:
    """Whether the folder holds a stylize run."""
    return (directory / INFO).is_file()


def create(
    directory: pathlib.Path, config: StylizeConfig, manifests: dict[str, Manifest], *, perceptual: bool
) -> StylizeRun:
    """Writes a new run's config.yaml and stylize.json.

    Args:
      manifests: by name.
      perceptual: whether the VGG16 term is used.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with files.replacing(directory / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(knobs.to_dict(config), sort_keys=False), encoding="utf-8")
    info = {
        "format": FORMAT,
        "perceptual": perceptual,
        "datasets": runs.describe_datasets(manifests),
        "provenance": runs.provenance(),
    }
    files.write_json(directory / INFO, info)
    return read(directory)


def read(directory: str | pathlib.Path) -> StylizeRun:
    """Reads a stylize run directory.

    Raises:
      UsageError: it is none.
      MsdaError: its files are damaged.
    """
    directory = pathlib.Path(directory)
    if not exists(directory):
        raise UsageError(f"{directory} is no stylize run (it has no {INFO}): name one that stylize train wrote")
    try:
        info = json.loads((directory / INFO).read_text(encoding="utf-8"))
        version = info["format"]
        info["perceptual"], info["datasets"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MsdaError(f"{directory / INFO} is damaged ({error!r}): train again with --restart") from None
    if version != FORMAT:
        raise MsdaError(f"{directory / INFO} is of format {version}, this version reads {FORMAT}")
    path = directory / "config.yaml"
    return StylizeRun(directory, knobs.from_saved(StylizeConfig, knobs.read_yaml(path), path), info)


def check_same(run: StylizeRun, config: StylizeConfig, manifests: dict[str, Manifest]) -> None:
    """Raises UsageError if the run was begun with another configuration or other data."""
    runs.refuse_changes(
        run.directory,
        old=knobs.to_dict(run.config),
        new=knobs.to_dict(config),
        free=FREE,
        datasets=run.info["datasets"],
        manifests=manifests,
    )
