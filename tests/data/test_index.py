"""Random access to shards, against TensorFlow's own writer and reader."""

import pytest
import tensorflow as tf

from msda_tf.data.index import RecordIndex
from msda_tf.data.manifest import Shard
from msda_tf.errors import MsdaError

PAYLOADS = [[b"one", b"", b"three" * 1000], [], [b"four"], [bytes(range(256)), b"six"]]


@pytest.fixture
def shards(tmp_path):
    entries = []
    for number, payloads in enumerate(PAYLOADS):
        path = tmp_path / f"{number}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for payload in payloads:
                writer.write(payload)
        entries.append(Shard(file=path.name, examples=len(payloads), bytes=path.stat().st_size, sha256="0" * 64))
    return entries


def change_byte(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def test_reads_what_tensorflow_wrote_in_any_order(tmp_path, shards):
    index = RecordIndex(tmp_path, shards)
    expected = [payload for payloads in PAYLOADS for payload in payloads]
    assert len(index) == len(expected)
    assert [index.read(record) for record in reversed(range(len(index)))] == expected[::-1]


def test_names_count_within_each_shard(tmp_path, shards):
    index = RecordIndex(tmp_path, shards)
    assert [index.name(record).removeprefix(f"{tmp_path}/") for record in range(len(index))] == [
        "0.tfrecord: record 0",
        "0.tfrecord: record 1",
        "0.tfrecord: record 2",
        "2.tfrecord: record 0",
        "3.tfrecord: record 0",
        "3.tfrecord: record 1",
    ]


def test_a_changed_byte_is_found_in_its_record_only(tmp_path, shards):
    # Record 0 takes 12 + 3 + 4 bytes, record 1 takes 12 + 0 + 4: position 60 lies in the payload of record 2.
    change_byte(tmp_path / "0.tfrecord", 60)
    index = RecordIndex(tmp_path, shards)
    assert [index.read(record) for record in (0, 1, 3)] == [b"one", b"", b"four"]
    with pytest.raises(MsdaError, match=r"0\.tfrecord: record 2 is damaged"):
        index.read(2)


def test_a_changed_checksum_is_found(tmp_path, shards):
    change_byte(tmp_path / "2.tfrecord", 12 + len(b"four") + 1)
    with pytest.raises(MsdaError, match=r"2\.tfrecord: record 0 is damaged"):
        RecordIndex(tmp_path, shards).read(3)


@pytest.mark.parametrize("position", [19, 19 + 9])
def test_a_changed_length_or_its_checksum_is_found_at_once(tmp_path, shards, position):
    change_byte(tmp_path / "0.tfrecord", position)
    with pytest.raises(MsdaError, match=r"0\.tfrecord is damaged at record 1"):
        RecordIndex(tmp_path, shards)


@pytest.mark.parametrize(("kept", "record"), [(18, 0), (19 + 5, 1), (19 + 16 + 1000, 2)])
def test_a_truncated_shard_is_named(tmp_path, shards, kept, record):
    path = tmp_path / "0.tfrecord"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MsdaError, match=rf"0\.tfrecord is truncated in record {record}"):
        RecordIndex(tmp_path, shards)


def test_a_shard_cut_between_records_disagrees_with_the_manifest(tmp_path, shards):
    path = tmp_path / "0.tfrecord"
    path.write_bytes(path.read_bytes()[:19])
    with pytest.raises(MsdaError, match=r"0\.tfrecord holds 1 records in 19 bytes, but the manifest says 3 in"):
        RecordIndex(tmp_path, shards)


def test_a_shard_of_another_conversion_disagrees_with_the_manifest(tmp_path, shards):
    with tf.io.TFRecordWriter(str(tmp_path / "2.tfrecord")) as writer:
        writer.write(b"fourteen")
    with pytest.raises(MsdaError, match=r"2\.tfrecord holds 1 records in 24 bytes, but the manifest says 1 in 20"):
        RecordIndex(tmp_path, shards)


def test_a_missing_shard_is_named(tmp_path, shards):
    (tmp_path / "2.tfrecord").unlink()
    with pytest.raises(MsdaError, match=r"2\.tfrecord does not exist"):
        RecordIndex(tmp_path, shards)


def test_a_shard_that_vanishes_or_shrinks_later_is_named(tmp_path, shards):
    index = RecordIndex(tmp_path, shards)
    (tmp_path / "2.tfrecord").unlink()
    with pytest.raises(MsdaError, match=r"2\.tfrecord: record 0 cannot be read"):
        index.read(3)
    (tmp_path / "3.tfrecord").write_bytes(b"")
    with pytest.raises(MsdaError, match=r"3\.tfrecord: record 1 is cut off"):
        index.read(5)
