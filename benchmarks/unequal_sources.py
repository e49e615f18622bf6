"""TO BE WRITTEN"""

import pathlib

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.data import tfrecord
from msda_tf.data.manifest import Manifest, Shard, Split


def shrunk(data: pathlib.Path, name: str, images: int, output: pathlib.Path) -> Manifest:
    """Makes `output/name`: the first so many training images of `data/name`, with its labels."""
    whole = manifests.read(data / name)
    split = whole.splits[whole.training_split]
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train-00000-of-00001.tfrecord"
    count = 0
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        for shard in whole.shard_paths(whole.training_split):
            for payload in tfrecord.read(shard):
                if count < images:
                    file.write(tfrecord.frame(payload))
                    count += 1
    shard = Shard(path.name, count, path.stat().st_size, files.sha256(path))
    import dataclasses

    part = dataclasses.replace(
        whole,
        splits={"train": Split((shard,), True, split.class_pixels, split.ignored_pixels)},
        training_split="train",
        evaluation_split=None,
        class_counts=None,
    )
    manifests.write(part, folder)
    return manifests.read(folder)
