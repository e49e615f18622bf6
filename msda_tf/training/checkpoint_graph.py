"""Which variables a checkpoint holds, by their place among the objects that were saved.

The keys in a checkpoint's files do not tell: a variable that several objects hold, as a network and its optimizer do,
is stored once, under whichever path is shortest.
"""

import pathlib
import re

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from msda_tf.training import tf_path


def keys(prefix: pathlib.Path, name: str) -> dict[str, str]:
    """Path of each variable below the object `name`, such as "backbone/conv1/kernel" -> its key in the checkpoint.

    Args:
      prefix: the common start of the checkpoint's files.
      name: under which the object was saved.
    """
    graph = _graph(prefix)
    top = next((child.node_id for child in graph.nodes[0].children if child.local_name == name), None)
    found, seen, todo = {}, set(), [] if top is None else [(top, "")]
    for number, path in todo:  # shortest paths first
        if number not in seen:
            seen.add(number)
            for attribute in graph.nodes[number].attributes:
                found[path] = attribute.checkpoint_key
            todo += _below(graph, number, path)
    return found


def beyond(prefix: pathlib.Path, objects: dict, *, except_for: re.Pattern) -> list[str]:
    """Paths of the variables that a checkpoint holds and `objects` do not.

    Args:
      prefix: the common start of the checkpoint's files.
      objects: trackable objects by name, as they would be restored.
      except_for: matches the whole path of what may be left over, with all that is below it.
    """
    graph = _graph(prefix)
    matched, todo = set(), [(0, tf.train.Checkpoint(**objects))]
    while todo:
        number, ours = todo.pop()
        if number not in matched:
            matched.add(number)
            children = tf.train.TrackableView.children(ours)
            todo += [
                (child.node_id, children[child.local_name])
                for child in graph.nodes[number].children
                if child.local_name in children
            ]
    left, seen, paths = [], set(), [(0, "")]
    while paths:
        number, path = paths.pop()
        if number in seen or except_for.fullmatch(path):
            continue
        seen.add(number)
        if graph.nodes[number].attributes and number not in matched:
            left.append(path)
        paths += _below(graph, number, path)
    return sorted(left)


def _below(graph, number: int, path: str) -> list[tuple[int, str]]:
    return [(child.node_id, f"{path}/{child.local_name}".lstrip("/")) for child in graph.nodes[number].children]


def _graph(prefix: pathlib.Path):
    with tf_path.literal(prefix.parent) as folder:
        stored = tf.train.load_checkpoint(str(folder / prefix.name)).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(stored)
