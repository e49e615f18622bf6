"""Images that are held out of a source: chosen by name alone, never trained on, found without reading images."""

import hashlib

import numpy as np
import prepared
import pytest
import tensorflow as tf

from msda_tf.data import held_out, pipeline, records
from msda_tf.data.index import RecordIndex


def held_names(names, most):
    return {name for name, held in zip(names, held_out.chosen(names, most), strict=True) if held}


@pytest.mark.parametrize(
    ("images", "most", "expected"),
    [(1, 20, 0), (2, 20, 1), (6, 20, 1), (10, 20, 1), (11, 20, 2), (400, 20, 20), (400, 100, 40), (400, 0, 0)],
)
def test_at_most_a_tenth_and_never_the_only_one(images, most, expected):
    names = [f"{number}.png".encode() for number in range(images)]
    assert held_out.count(images, most) == expected == sum(held_out.chosen(names, most))


def test_names_alone_decide():
    names = [f"town/{number:03d}.png".encode() for number in range(100)]
    held = held_names(names, 10)
    assert held == set(sorted(names, key=lambda name: hashlib.sha256(name).hexdigest())[:10])
    assert held_names(names[::-1], 10) == held
    # A smaller cap takes some of the same: nothing that was trained on before becomes unseen.
    assert held_names(names, 4) < held
    assert not held_out.chosen([None, *names], 10)[0]


def test_names_are_read_past_the_images(prepared_data):
    manifest = prepared.manifests.find(prepared_data, "gta5")
    index = RecordIndex(manifest.directory, manifest.splits["train"].shards)
    expected = [records.from_example(index.read(number)).filename.encode() for number in range(len(index))]
    assert index.file_names() == expected and len(set(expected)) == 9
    part = index.only(np.arange(9) % 4 == 3)
    assert part.file_names() == [expected[3], expected[7]] and part.read(1) == index.read(7)
    assert part.name(1) == index.name(7)


def test_names_of_what_tensorflow_wrote_and_of_what_is_no_example():
    feature = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x" * 5000])),
        "image/filename": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"town/\xff.png"])),
        "image/height": tf.train.Feature(int64_list=tf.train.Int64List(value=[7])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    assert records.filename(example) == b"town/\xff.png"
    del feature["image/filename"]
    assert records.filename(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()) is None
    generator = np.random.default_rng(0)
    for length in range(40):
        records.filename(generator.bytes(length))  # whatever it says, it ends
        records.filename(example[: length * 100])


def test_what_is_held_out_is_never_trained_on(prepared_data):
    manifest = prepared.manifests.find(prepared_data, "gta5")

    def epoch(most):
        options = {"labelled": True, "image_size": (17, 33), "batch_size": 1, "seed": 0, "stream": "s"}
        batches = pipeline.training_batches(manifest, held_out=most, **options).take(27)
        return [batch["filename"].numpy()[0] for batch in batches]

    (held,) = pipeline.held_out_images(manifest, 5)
    name = held["filename"].numpy()
    assert held["label"].shape == (65, 129)
    assert name in epoch(0)[:9]
    assert len(set(epoch(5)[:8])) == 8 == len(set(epoch(5))) and name not in epoch(5)
    assert pipeline.held_out_images(manifest, 0) is None


def test_labels_are_not_read_where_nobody_asks(prepared_data):
    manifest = prepared.manifests.find(prepared_data, "gta5")
    assert all("label" not in image for image in pipeline.evaluation_images(manifest, "test", labelled=False))
