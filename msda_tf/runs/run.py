"""A run: what was trained, on what, and with what. config.yaml and run.json are written and read here."""

import dataclasses
import pathlib
from dataclasses import dataclass

import yaml

from msda_tf import files, state_file
from msda_tf.config import FIELDS, TrainConfig, from_saved, knobs, read_yaml, to_dict, validate
from msda_tf.config.branches import NetworkPlan, plan
from msda_tf.config.inputs import image_mean
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import ClassList
from msda_tf.runs import datasets
from msda_tf.runs.directory import RunDirectory
from msda_tf.runs.provenance import provenance
from msda_tf.state_file import Damaged
from msda_tf.training import progress
from msda_tf.training.folder import TrainingFolder

FORMAT = 1


# What may differ when a run is continued, or be edited in its config.yaml: where and how often things are written, and
# what is made of the networks afterwards; not what is computed.
_FREE = (
    "data",
    "checkpoint_every",
    "keep_checkpoints",
    "evaluate_every",
    "evaluate_images",
    "corrupt_limit",
    "merge",
    "merge_at",
    "merge_level",
    "window",
    "select",
    "serve",
    "init",
    "init_partial",
)


@dataclass(frozen=True)
class Run:
    """A run directory's content.

    Attributes:
      directory: the folder.
      config: its configuration.
      classes: of its labels.
      means: RGB mean of each target's images by its name, to be subtracted at test time.
      info: the whole of run.json.
      newer_knobs: those that the version which began the run did not have, so that nobody chose their values.
    """

    directory: pathlib.Path
    config: TrainConfig
    classes: ClassList
    means: dict[str, tuple[float, float, float]]
    info: dict
    newer_knobs: tuple[str, ...] = ()

    @property
    def mean_rgb(self) -> tuple[float, float, float]:
        """Of the only, or first, target."""
        return self.means[self.config.targets[0]]

    @property
    def paths(self) -> RunDirectory:
        """Every path inside it."""
        return RunDirectory(self.directory)

    @property
    def networks(self) -> list[NetworkPlan]:
        """The run's networks, in order of training."""
        return plan(self.config)

    def folder(self, network: NetworkPlan) -> TrainingFolder:
        """Where a network's checkpoints and logs lie."""
        return self.paths.network(network.name)

    def source_names(self) -> dict[str, str]:
        """Branch -> data set, such as {"S1": "gta5"}."""
        return {f"S{number + 1}": name for number, name in enumerate(self.config.sources)}

    def dataset(self, name: str) -> dict:
        """What the run noted of one of its data sets (see `msda_tf.runs.datasets.describe`)."""
        return self.info["datasets"][name]

    @property
    def data(self) -> pathlib.Path | None:
        """The folder of its data sets as an absolute path; None if only the configuration tells.

        Runs of earlier versions did not note it, and whoever edits `data` in config.yaml means another one. A URL is
        the same from everywhere.
        """
        noted = self.info.get("data")
        same = noted is not None and not files.is_url(noted) and self.info["config"]["data"] == self.config.data
        return pathlib.Path(noted) if same else None


def exists(directory: pathlib.Path) -> bool:
    """Whether the folder holds a run."""
    return RunDirectory(directory).info.is_file()


def create(directory: pathlib.Path, config: TrainConfig, manifests: dict[str, Manifest]) -> Run:
    """Writes a new run's config.yaml and run.json, and makes its networks' folders.

    run.json comes last: from then on a network whose folder or note of progress is missing has lost it.
    """
    paths = RunDirectory(directory)
    for network in plan(config):
        paths.network(network.name).path.mkdir(parents=True, exist_ok=True)
        progress.note(paths.network(network.name), 0)
    targets = {name: manifests[name] for name in config.targets}
    classes = targets[config.targets[0]].classes
    means = {name: list(image_mean(config, manifest)) for name, manifest in targets.items()}
    info = {
        "format": FORMAT,
        "classes": [{"name": n, "color": list(c)} for n, c in zip(classes.names, classes.colors, strict=True)],
        "mean_rgb": means[config.targets[0]],
        **({"mean_rgb_of_targets": means} if len(targets) > 1 else {}),
        "networks": {network.name: list(network.branches) for network in plan(config)},
        "datasets": datasets.describe(manifests),
        "data": config.data if files.is_url(config.data) else str(pathlib.Path(config.data).absolute()),
        "config": to_dict(config),
        "provenance": provenance(),
    }
    with files.replacing(paths.config) as temporary:
        temporary.write_text(yaml.safe_dump(to_dict(config), sort_keys=False), encoding="utf-8")
    files.write_json(paths.info, info)
    return read(directory)


def read(directory: str | pathlib.Path) -> Run:
    """Reads a run directory.

    Raises:
      UsageError: it is no run directory, or its config.yaml is not that with which the run was made.
      MsdaError: its files are damaged.
    """
    paths = RunDirectory(pathlib.Path(directory))
    if not exists(paths.path):
        raise UsageError(f"{directory} is not a run directory (it has no run.json): name one that msda-tf train wrote")
    try:
        info = state_file.load(paths.info)
        if state_file.whole(info, "format") != FORMAT:
            raise MsdaError(f"{paths.info} is of format {info['format']}, this version reads {FORMAT}")
        classes, mean = _classes(info), state_file.numbers(info, "mean_rgb", 3)
        several = state_file.mapping(info, "mean_rgb_of_targets") if "mean_rgb_of_targets" in info else {}
        several = {name: state_file.numbers(several, name, 3) for name in several}
        networks = {name: state_file.texts(info["networks"], name) for name in state_file.mapping(info, "networks")}
        for name in (noted := state_file.mapping(info, "datasets")):
            entry = state_file.mapping(noted, name)
            state_file.text(entry, "dataset.json"), state_file.whole(entry, "width"), state_file.whole(entry, "height")
        if "provenance" in info:
            state_file.mapping(info, "provenance")
        if "starting_weights" in info:
            state_file.mapping(info, "starting_weights")
        if "data" in info:
            state_file.text(info, "data"), state_file.mapping(info, "config")
    except FileNotFoundError:
        raise MsdaError(f"{paths.info} is gone: another process has removed it") from None
    except Damaged as error:
        raise MsdaError(
            f"{paths.info} is damaged ({error}): bring it back from a copy, or train again with --restart"
        ) from None
    saved = read_yaml(paths.config)
    config = from_saved(saved, paths.config)
    validate(config)
    _check_unedited(paths, config, info, networks)
    means = several if len(config.targets) > 1 else {config.target: mean}
    missing = [f"datasets: {name}" for name in (*config.targets, *config.sources) if name not in noted]
    missing += [f"mean_rgb_of_targets: {name}" for name in config.targets if name not in means]
    if missing:
        raise MsdaError(
            f"{paths.info} is damaged ({missing[0]} is missing): bring it back from a copy, or train again with "
            "--restart"
        )
    newer = set(FIELDS) - {"method" if key == "adapt" else key for key in (*info.get("config", {}), *saved)}
    return Run(paths.path, config, classes, means, info, tuple(sorted(newer)))


def packages(directory: pathlib.Path) -> dict[str, str]:
    """Versions with which a run was begun; of early versions' runs none are known."""
    found = read(directory).info.get("provenance", {}).get("packages", {})
    return found if isinstance(found, dict) else {}


def note_starting_weights(directory: pathlib.Path, network: NetworkPlan, described: dict) -> None:
    """Adds to run.json with which weights a network starts: {"starting_weights": {NETWORK: ...}}."""
    paths = RunDirectory(directory)
    info = state_file.load(paths.info)
    info.setdefault("starting_weights", {})[network.name] = described
    files.write_json(paths.info, info)


def _classes(info: dict) -> ClassList:
    entries = state_file.mappings(info, "classes")
    if not entries:
        raise Damaged("classes: there are none")
    names = tuple(state_file.text(entry, "name") for entry in entries)
    colors = [state_file.numbers(entry, "color", 3) for entry in entries]
    if not all(value in range(256) for color in colors for value in color):
        raise Damaged("classes: a color is three whole numbers from 0 to 255")
    return ClassList(names, tuple(tuple(map(int, color)) for color in colors))


def _check_unedited(paths: RunDirectory, config: TrainConfig, info: dict, networks: dict[str, tuple]) -> None:
    """Refuses a config.yaml that was edited: weights of one network, run as another, give other results silently."""
    if "config" in info:
        knobs.refuse_edits(paths.config, config, from_saved(info["config"], paths.info), free=_FREE)
    planned = {network.name: network.branches for network in plan(config)}
    if planned != networks:
        raise UsageError(
            f"{paths.config} describes networks {_described(planned)}, and the run has {_described(networks)}: was it "
            "edited? put it back"
        )


def _described(networks: dict[str, tuple]) -> str:
    return ", ".join(f"{name} ({' '.join(branches)})" for name, branches in networks.items()) or "none"


def as_begun(run: Run, config: TrainConfig) -> TrainConfig:
    """The configuration with which a run goes on: of knobs that its version did not have, the values that it ran with.

    A preset may set them otherwise for new runs.
    """
    kept = {key: getattr(run.config, key) for key in run.newer_knobs}
    return dataclasses.replace(config, **kept)


def check_same(run: Run, config: TrainConfig, manifests: dict[str, Manifest]) -> None:
    """Refuses to continue a run with another configuration or other data.

    Raises:
      UsageError: names every key that differs, with both values.
    """
    refuse_changes(
        run.directory,
        old=to_dict(run.config),
        new=to_dict(config),
        free=(*_FREE, *run.newer_knobs),
        noted=run.info["datasets"],
        manifests=manifests,
    )


def refuse_changes(
    directory: pathlib.Path, *, old: dict, new: dict, free: tuple, noted: dict, manifests: dict[str, Manifest]
) -> None:
    """Raises UsageError if a run's settings or data are not those it was begun with.

    Args:
      directory: of the run.
      old, new: settings by key.
      free: keys that may differ.
      noted: as `datasets.describe` noted them.
      manifests: what is there now.
    """
    differences = [f"{key} (was {old[key]}, now {new[key]})" for key in new if key not in free and old[key] != new[key]]
    for name, manifest in manifests.items():
        known = noted.get(name, {}).get("dataset.json")
        if known is not None and known != datasets.checksum(manifest):
            differences.append(f"data set {name} was prepared anew")
    if differences:
        raise UsageError(
            f"{directory} holds a run with other settings: {'; '.join(differences)}; continue it with its own "
            "settings, choose another --run, or start over with --restart"
        )
