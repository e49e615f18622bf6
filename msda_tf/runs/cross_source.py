"""cross_source.json: every branch of a run on the held-out images of every source, for the weights that were scored.

    {"format": 1,
     "tables": [{"network": "sources", "step": 1200, "checkpoint_sha256": "...", "cells": {"S1": {"gta5": {...}}}}]}

Training writes the table of the last checkpoint; those of others are made when somebody needs them, from the data that
the run was trained on. A table of a student's weights, beside which there is a teacher, says `"student": true`.
"""

from collections.abc import Mapping

from absl import logging

from msda_tf import files, state_file
from msda_tf.config.branches import NetworkPlan
from msda_tf.data import elsewhere
from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import Manifest
from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import cross_source
from msda_tf.evaluation.cross_source import Cell
from msda_tf.inference.held_out import HeldOut
from msda_tf.runs import datasets
from msda_tf.runs.run import Run
from msda_tf.state_file import Damaged
from msda_tf.training import checkpoint_files

FORMAT = 1

Cells = dict[str, dict[str, Cell]]


def read(run: Run, network: NetworkPlan, checkpoint_sha256: str, *, student: bool = False) -> Cells | None:
    """The table of one network's weights; None if it was not made yet.

    Args:
      run, network: whose.
      checkpoint_sha256: by which the checkpoint is known.
      student: whether it is the one of a student that has a teacher.

    Raises:
      MsdaError: the file is damaged.
    """
    for table in _tables(run):
        if (table["network"], table["checkpoint_sha256"], table["student"]) == (
            network.name,
            checkpoint_sha256,
            student,
        ):
            return table["cells"]
    return None


def write(
    run: Run, network: NetworkPlan, step: int, cells: Mapping[str, Mapping[str, Cell]], *, student: bool = False
) -> None:
    """Adds the table of the checkpoint of a step; those of checkpoints that are gone are dropped."""
    folder = run.folder(network).checkpoints
    sha256 = checkpoint_files.checksum(checkpoint_files.folder(folder, step))
    same = (sha256, student)
    kept = [t for t in _tables(run) if _is_there(run, t) and (t["checkpoint_sha256"], t["student"]) != same]
    own = {"network": network.name, "step": step, "checkpoint_sha256": sha256, "student": student, "cells": cells}
    entries = [_entry(table) for table in (*kept, own)]
    files.write_json(run.paths.cross_source, {"format": FORMAT, "tables": entries})


def _entry(table: dict) -> dict:
    entry = {**table, "cells": cross_source.to_json(table["cells"])}
    return entry if table["student"] else {key: value for key, value in entry.items() if key != "student"}


def make(run: Run, network: NetworkPlan, segmenter, step: int, *, student: bool = False) -> Cells:
    """Scores a network with the weights of a checkpoint on the held-out images, and writes that down.

    Raises:
      UsageError: the sources are not there, or not as they were.
      MsdaError: a record is damaged.
    """
    scorer = HeldOut(config=run.config, network=network, segmenter=segmenter, manifests=_sources(run))
    cells = scorer.cells()
    write(run, network, step, cells, student=student)
    return cells


def _sources(run: Run) -> dict[str, Manifest]:
    """The run's sources, as it had them."""
    if files.is_url(run.config.data):
        logging.warning(
            "bringing the sources of %s from %s, to score its branches on them", run.directory, run.config.data
        )
        elsewhere.bring(run.config.data, dict.fromkeys(run.config.sources, elsewhere.training))
    folders = datasets.folders(run.config.data, run.data)
    found = {}
    for name in run.config.sources:
        manifest = manifests.find(datasets.holding(name, folders) or folders[0], name)
        if datasets.checksum(manifest) != run.dataset(name)["dataset.json"]:
            raise UsageError(
                f"{manifest.directory} is not the data set that {run.directory} was trained on, whose held-out images "
                "its branches are to be scored on: bring that back, or use --merge mean-probability"
            )
        found[name] = manifest
    return found


def _is_there(run: Run, table: dict) -> bool:
    path = checkpoint_files.folder(run.paths.network(table["network"]).checkpoints, table["step"])
    try:
        return checkpoint_files.checksum(path) == table["checkpoint_sha256"]
    except OSError:
        return False


def _tables(run: Run) -> list[dict]:
    path = run.paths.cross_source
    try:
        value = state_file.load(path)
        if state_file.whole(value, "format") != FORMAT:
            raise Damaged(f"format: expected {FORMAT}")
        return [
            {
                "network": state_file.text(table, "network"),
                "step": state_file.whole(table, "step"),
                "checkpoint_sha256": state_file.text(table, "checkpoint_sha256"),
                "student": "student" in table and state_file.flag(table, "student"),
                "cells": cross_source.from_json(state_file.mapping(table, "cells"), len(run.classes)),
            }
            for table in state_file.mappings(value, "tables")
        ]
    except FileNotFoundError:
        return []
    except Damaged as error:
        raise MsdaError(f"{path} is damaged ({error}): remove it, it is made again when it is needed") from None
