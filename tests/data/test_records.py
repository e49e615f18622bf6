"""Records against TensorFlow's own tf.train.Example."""

import pytest
import tensorflow as tf

from msda_tf.data import records

LABELLED = records.Record("städte/0001.png", b"\x89PNG\x00image", "png", 65, 129, b"\x89PNG\x00label")
UNLABELLED = records.Record("0002.jpg", b"\xff\xd8\xff", "jpeg", 1, 2**20)


@pytest.mark.parametrize("record", [LABELLED, UNLABELLED])
def test_tensorflow_reads_the_same(record):
    feature = tf.train.Example.FromString(records.to_example(record)).features.feature
    assert feature["image/encoded"].bytes_list.value[:] == [record.image]
    assert feature["image/filename"].bytes_list.value[:] == [record.filename.encode()]
    assert feature["image/format"].bytes_list.value[:] == [record.image_format.encode()]
    sizes = [feature[f"image/{key}"].int64_list.value[:] for key in ("height", "width", "channels")]
    assert sizes == [[record.height], [record.width], [3]]
    labels = {key: feature[key].bytes_list.value[:] for key in feature if "segmentation" in key}
    if record.label is None:
        assert labels == {}
    else:
        assert labels == {
            "image/segmentation/class/encoded": [record.label],
            "image/segmentation/class/format": [b"png"],
        }


@pytest.mark.parametrize("record", [LABELLED, UNLABELLED])
def test_bytes_are_those_that_tensorflow_writes(record):
    serialized = records.to_example(record)
    assert serialized == tf.train.Example.FromString(serialized).SerializeToString(deterministic=True)
    assert records.from_example(serialized) == record


def test_reads_examples_with_further_features():
    example = tf.train.Example.FromString(records.to_example(LABELLED))
    example.features.feature["weight"].float_list.value.append(0.5)
    assert records.from_example(example.SerializeToString()) == LABELLED


@pytest.mark.parametrize("key", ["image/encoded", "image/filename", "image/format", "image/height", "image/width"])
def test_a_missing_key_is_named(key):
    example = tf.train.Example.FromString(records.to_example(LABELLED))
    del example.features.feature[key]
    with pytest.raises(ValueError, match=key):
        records.from_example(example.SerializeToString())


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="not a tf.train.Example"):
        records.from_example(b"no such message")
