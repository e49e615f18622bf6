"""The TFRecord container against TensorFlow's reader and writer."""

import os

import pytest
import tensorflow as tf

from msda_tf.data import tfrecord

RECORDS = [b"first", b"", bytes(range(256)) * 300]


def test_tensorflow_reads_what_is_written(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"".join(map(tfrecord.frame, RECORDS)))
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == RECORDS


def test_reads_what_tensorflow_writes(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(tfrecord.read(path)) == RECORDS
    assert path.read_bytes() == b"".join(map(tfrecord.frame, RECORDS))


def test_an_empty_file_has_no_records(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.touch()
    assert list(tfrecord.read(path)) == []


@pytest.mark.parametrize("position", [0, 9, 14, 19])  # length, its checksum, data, its checksum
def test_any_flipped_byte_is_noticed(tmp_path, position):
    content = bytearray(tfrecord.frame(b"hello") + tfrecord.frame(b"world"))
    content[21 + position] ^= 1
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    records = tfrecord.read(path)
    assert next(records) == b"hello"
    with pytest.raises(ValueError, match="at byte 21"):
        next(records)


@pytest.mark.parametrize("length", [22, 33, 35, 41])
def test_a_cut_file_is_noticed(tmp_path, length):
    path = tmp_path / "a.tfrecord"
    path.write_bytes((tfrecord.frame(b"hello") + tfrecord.frame(b"world"))[:length])
    with pytest.raises(ValueError, match="at byte 21"):
        list(tfrecord.read(path))


def test_a_length_beyond_the_file_takes_no_memory(tmp_path):
    """Its own checksum fits, as a forger's would."""
    length = (2**60).to_bytes(8, "little")
    path = tmp_path / "a.tfrecord"
    path.write_bytes(length + tfrecord.masked_crc(length) + b"few bytes")
    with pytest.raises(ValueError, match="damaged record at byte 0"):
        list(tfrecord.read(path))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tfrecord")
    with pytest.raises(OSError, match="Not a regular file"):
        list(tfrecord.read(tmp_path / "a.tfrecord"))
