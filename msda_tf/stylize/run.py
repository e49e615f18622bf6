"""The directory of a stylize run.

RUN/config.yaml    every knob as it was used
RUN/stylize.json   data sets with checksums, settings, whether the VGG16 term is used, versions, command line

and what training leaves of the networks: see `msda_tf.training.folder`.
"""

import pathlib
from dataclasses import dataclass

import yaml

from msda_tf import files, runs, state_file
from msda_tf.config import knobs
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.runs import beginning, datasets
from msda_tf.state_file import Damaged
from msda_tf.stylize.config import FREE, StylizeConfig, validate
from msda_tf.training.folder import TrainingFolder

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

    @property
    def folder(self) -> TrainingFolder:
        """Where checkpoints and logs lie."""
        return TrainingFolder(self.directory)


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
    with files.replacing(_config(directory)) as temporary:
        temporary.write_text(yaml.safe_dump(knobs.to_dict(config), sort_keys=False), encoding="utf-8")
    info = {
        "format": FORMAT,
        "perceptual": perceptual,
        "datasets": datasets.describe(manifests),
        "config": knobs.to_dict(config),
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
        info = state_file.load(directory / INFO)
        version = state_file.whole(info, "format")
        state_file.flag(info, "perceptual")
        for name in (noted := state_file.mapping(info, "datasets")):
            state_file.text(state_file.mapping(noted, name), "dataset.json")
        began = state_file.mapping(info, "config") if "config" in info else None
    except (FileNotFoundError, Damaged) as error:
        raise MsdaError(
            f"{directory / INFO} is damaged ({error}): bring it back from a copy, or train again with --restart"
        ) from None
    if version != FORMAT:
        raise MsdaError(f"{directory / INFO} is of format {version}, this version reads {FORMAT}")
    path = _config(directory)
    config = knobs.from_saved(StylizeConfig, knobs.read_yaml(path), path)
    validate(config)
    if began is not None:
        knobs.refuse_edits(path, config, knobs.from_saved(StylizeConfig, began, directory / INFO), free=FREE)
    return StylizeRun(directory, config, info)


def remove(directory: pathlib.Path) -> None:
    """Removes a stylize run, and nothing else that lies in its folder; stylize.json goes last."""
    folder = TrainingFolder(directory)
    events = sorted(directory.glob("events.out.tfevents.*"))
    beginning.remove([folder.checkpoints, folder.log, folder.progress, *events, _config(directory), directory / INFO])


def _config(directory: pathlib.Path) -> pathlib.Path:
    return directory / "config.yaml"


def check_same(run: StylizeRun, config: StylizeConfig, manifests: dict[str, Manifest]) -> None:
    """Raises UsageError if the run was begun with another configuration or other data."""
    runs.refuse_changes(
        run.directory,
        old=knobs.to_dict(run.config),
        new=knobs.to_dict(config),
        free=FREE,
        noted=run.info["datasets"],
        manifests=manifests,
    )
