"""The run directory: what was trained, on what, with what, and where its networks lie.

RUN/config.yaml                 every knob as it was used
RUN/run.json                    networks, classes, data sets, versions, command line
RUN/networks/NAME/checkpoints/  see `msda_tf.training.checkpoints`
RUN/networks/NAME/metrics.jsonl losses and scores by step; TensorBoard's event files lie beside it
RUN/metrics.json                the last evaluation
"""

import datetime
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys
from dataclasses import dataclass

import yaml

from msda_tf import files
from msda_tf.config import TrainConfig, from_saved, read_yaml, to_dict
from msda_tf.data.manifest import FILE_NAME, Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import ClassList

FORMAT = 1

IMAGENET_MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)
"""The mean that AdaptSegNet subtracts from every image (RGB, 0-255)."""

# What may differ when a run is continued: where and how often things are written, not what is computed.
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
    "select",
    "init",
    "init_partial",
)


@dataclass(frozen=True)
class NetworkPlan:
    """One network of a run.

    Attributes:
      name: of its folder.
      branches: the classifiers at each level.
      feeds: for each source image of a step, the branches that it trains.
      pooled: whether a step sees one batch from the pool of all sources, instead of one batch from each.
    """

    name: str
    branches: tuple[str, ...]
    feeds: tuple[tuple[str, ...], ...]
    pooled: bool


def plan(config: TrainConfig) -> list[NetworkPlan]:
    """The networks that a configuration's layout trains, in order.

    With one source S1 and S-All are the same branch: `separate` then trains S-All alone.
    """
    own = tuple(f"S{number + 1}" for number in range(len(config.sources)))
    sources = NetworkPlan("sources", own, tuple((branch,) for branch in own), pooled=False)
    s_all = NetworkPlan("s-all", ("S-All",), (("S-All",),), pooled=True)
    joint = NetworkPlan("joint", (*own, "S-All"), tuple((branch, "S-All") for branch in own), pooled=False)
    both = [sources, s_all] if len(own) > 1 else [s_all]
    return {"separate": both, "joint": [joint], "sources": [sources], "s-all": [s_all]}[config.layout]


@dataclass(frozen=True)
class Run:
    """A run directory's content.

    Attributes:
      directory: the folder.
      config: its configuration.
      classes: of its labels.
      mean_rgb: of the target's images, to be subtracted at test time.
      info: the whole of run.json.
    """

    directory: pathlib.Path
    config: TrainConfig
    classes: ClassList
    mean_rgb: tuple[float, float, float]
    info: dict

    @property
    def networks(self) -> list[NetworkPlan]:
        """The run's networks, in order of training."""
        return plan(self.config)

    def network_directory(self, network: NetworkPlan) -> pathlib.Path:
        """Where a network's checkpoints and logs lie."""
        return self.directory / "networks" / network.name

    def source_names(self) -> dict[str, str]:
        """Branch -> data set, such as {"S1": "gta5"}."""
        return {f"S{number + 1}": name for number, name in enumerate(self.config.sources)}


def image_mean(config: TrainConfig, manifest: Manifest) -> tuple[float, float, float]:
    """The RGB mean, 0-255, that is subtracted from a data set's images."""
    return IMAGENET_MEAN_RGB if config.mean == "imagenet" else manifest.mean_rgb


def create(directory: pathlib.Path, config: TrainConfig, manifests: dict[str, Manifest]) -> Run:
    """Writes a new run's config.yaml and run.json."""
    directory.mkdir(parents=True, exist_ok=True)
    classes = manifests[config.target].classes
    info = {
        "format": FORMAT,
        "classes": [{"name": n, "color": list(c)} for n, c in zip(classes.names, classes.colors, strict=True)],
        "mean_rgb": list(image_mean(config, manifests[config.target])),
        "networks": {network.name: list(network.branches) for network in plan(config)},
        "datasets": describe_datasets(manifests),
        "provenance": provenance(),
    }
    with files.replacing(directory / "config.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(to_dict(config), sort_keys=False), encoding="utf-8")
    files.write_json(directory / "run.json", info)
    return read(directory)


def describe_datasets(manifests: dict[str, Manifest]) -> dict[str, dict]:
    """What a run notes of its data sets, by name: enough to know them again."""
    return {
        name: {
            "dataset.json": files.sha256(manifest.directory / FILE_NAME),
            "images": manifest.splits[manifest.training_split].examples,
            "width": manifest.width,
            "height": manifest.height,
            "mean_rgb": list(manifest.mean_rgb),
        }
        for name, manifest in manifests.items()
    }


def provenance() -> dict:
    """Command line, time, versions, git revision and devices."""
    import tensorflow as tf

    packages = ("tensorflow", "keras", "numpy", "opencv-python-headless", "msda-tf")
    return {
        "command": sys.argv,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in packages},
        "git": _git_revision(),
        "devices": [device.name for device in tf.config.list_logical_devices()],
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The revision of this project's own checkout, with "+changes" if it has any; None if it is not a checkout."""
    here = pathlib.Path(__file__).resolve().parent
    try:

        def git(*arguments):
            command = ["git", "-C", str(here), *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

        if pathlib.Path(git("rev-parse", "--show-toplevel")) != here.parent:
            return None
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def exists(directory: pathlib.Path) -> bool:
    """Whether the folder holds a run."""
    return (directory / "run.json").is_file()


def read(directory: str | pathlib.Path) -> Run:
    """Reads a run directory.

    Raises:
      UsageError: it is no run directory.
      MsdaError: its files are damaged.
    """
    directory = pathlib.Path(directory)
    if not exists(directory):
        raise UsageError(f"{directory} is not a run directory (it has no run.json): name one that msda-tf train wrote")
    try:
        info = json.loads((directory / "run.json").read_text(encoding="utf-8"))
        if info["format"] != FORMAT:
            raise MsdaError(f"{directory}/run.json is of format {info['format']}, this version reads {FORMAT}")
        names = tuple(entry["name"] for entry in info["classes"])
        colors = tuple(tuple(entry["color"]) for entry in info["classes"])
        mean = tuple(info["mean_rgb"])
    except (ValueError, KeyError, TypeError) as error:
        raise MsdaError(f"{directory}/run.json is damaged ({error}): train again with --restart") from None
    config = from_saved(read_yaml(directory / "config.yaml"), directory / "config.yaml")
    return Run(directory, config, ClassList(names, colors), mean, info)


def check_same(run: Run, config: TrainConfig, manifests: dict[str, Manifest]) -> None:
    """Refuses to continue a run with another configuration or other data.

    Raises:
      UsageError: names every key that differs, with both values.
    """
    refuse_changes(
        run.directory,
        old=to_dict(run.config),
        new=to_dict(config),
        free=_FREE,
        datasets=run.info["datasets"],
        manifests=manifests,
    )


def refuse_changes(
    directory: pathlib.Path, *, old: dict, new: dict, free: tuple, datasets: dict, manifests: dict[str, Manifest]
) -> None:
    """Raises UsageError if a run's settings or data are not those it was begun with.

    Args:
      directory: of the run.
      old, new: settings by key.
      free: keys that may differ.
      datasets: as `describe_datasets` noted them.
      manifests: what is there now.
    """
    differences = [f"{key} (was {old[key]}, now {new[key]})" for key in new if key not in free and old[key] != new[key]]
    for name, manifest in manifests.items():
        known = datasets.get(name, {}).get("dataset.json")
        if known is not None and known != files.sha256(manifest.directory / FILE_NAME):
            differences.append(f"data set {name} was prepared anew")
    if differences:
        raise UsageError(
            f"{directory} holds a run with other settings: {'; '.join(differences)}; continue it with its own "
            "settings, choose another --run, or start over with --restart"
        )
