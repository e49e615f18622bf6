"""What travels with an exported model, for those who read its outputs: `assets.extra/metadata.json`."""

import datetime

from msda_tf import __version__, runs
from msda_tf.config.branches import MAX_MERGE
from msda_tf.errors import MsdaError
from msda_tf.evaluation import metrics
from msda_tf.evaluation.metrics import Metrics
from msda_tf.evaluation.protocol import score
from msda_tf.labels import IGNORE
from msda_tf.runs.made_from import MadeFrom
from msda_tf.runs.trained import Trained
from msda_tf.serving.model import Served

FILE_NAME = "metadata.json"


def describe(networks: Trained, served: Served, *, mean_of: str | None) -> dict:
    """JSON-ready: classes, colours, means, merge, weights, versions and scores of an export.

    Args:
      networks: that are exported.
      served: what the model takes and gives.
      mean_of: of several targets, the one whose mean it subtracts; None if all have the same, or there is one.
    """
    classes = networks.classes
    return {
        "msda_tf": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "target": networks.target,
        **({"mean_of": mean_of} if len(networks.targets) > 1 else {}),
        "classes": [
            {"train_id": index, "name": name, "color": list(color)}
            for index, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True))
        ],
        "ignore": IGNORE,
        "limits": {"max_pixels_in_a_call": served.max_pixels, "size": served.size and list(served.size)},
        "branches": networks.training_sets,
        "inputs_of_networks": [
            {
                "mean_rgb": list(member.mean),
                "scale": member.scale,
                "size": member.size and list(member.size),
                **({"window": list(member.window)} if member.window else {}),
            }
            for member in networks.inference.members
        ],
        **networks.made_from().to_json(),
        **networks.shares(),
        **_scores(networks, mean_of),
        "notes": networks.notes(),
        "runs": [
            {"name": run.directory.resolve().name, "sources": list(run.config.sources), **_origin(run)}
            for run in networks.runs
        ],
        "exported_with": runs.provenance(),
    }


def _scores(networks: Trained, mean_of: str | None) -> dict:
    """The score on the target; of several, on that whose mean is subtracted, or on each."""
    try:
        found = {each.target: miou(networks, each) for each in metrics.read_all(networks.runs[0].paths.metrics)}
    except MsdaError:
        found = {}
    if len(networks.targets) == 1:
        return {"miou": next(iter(found.values()), None)}
    targets = networks.targets if mean_of is None else (mean_of,)
    return {"miou_of_targets": {target: found.get(target) for target in targets}}


def miou(networks: Trained, found: Metrics) -> dict | None:
    """The score of exactly these weights and this merge among a run's scores on a target; None if there is none."""
    try:
        scored = MadeFrom.from_json(found.made_from)
    except MsdaError:
        return None
    own = networks.made_from()
    column = MAX_MERGE if len(own.merged) > 1 else own.merged[0]
    same_weights = all(any(each.may_be(weights) for weights in scored.networks) for each in own.networks)
    merging = [(made.merge, made.merge_at, made.merged) for made in (own, scored)]
    same_merge = column != MAX_MERGE or merging[0] == merging[1]
    if not (same_weights and same_merge and column in found.matrices):
        return None
    scores = score(found.matrices[column], networks.classes)
    return {
        "target": found.target,
        "split": found.split,
        "images": found.images,
        "resolution": found.resolution.to_json(),
        "all_classes": scores.miou_all,
        "present_classes": scores.miou_present,
    }


def _origin(run: runs.Run) -> dict:
    """When and with what a run was begun, and the checksums of the dataset.json of its data sets."""
    provenance = run.info.get("provenance", {})
    datasets = {name: described.get("dataset.json") for name, described in run.info.get("datasets", {}).items()}
    return {**{key: provenance.get(key) for key in ("started", "git", "packages")}, "dataset_sha256": datasets}
