"""The run directory: what was trained, on what, with what, and where its networks lie.

RUN/config.yaml                 every knob as it was used
RUN/run.json                    networks, classes, data sets, versions, command line
RUN/networks/NAME/checkpoints/  see `msda_tf.training.checkpoints`
RUN/networks/NAME/metrics.jsonl losses and scores by step; TensorBoard's event files lie beside it
RUN/metrics.json                the last evaluation
"""

import json
import pathlib
from dataclasses import dataclass

import yaml

from msda_tf import files
from msda_tf.config import TrainConfig, from_saved, read_yaml, to_dict
from msda_tf.config.branches import NetworkPlan, plan
from msda_tf.config.inputs import image_mean
from msda_tf.data.manifest import FILE_NAME, Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import ClassList
from msda_tf.runs.provenance import provenance

FORMAT = 1


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
