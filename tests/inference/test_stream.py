"""Streaming images: order, failures, batches."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.inference import stream as module
from msda_tf.inference.stream import batches, stream


def image(value, height=2, width=3):
    return tf.fill([height, width, 3], tf.constant(value, tf.uint8))


def doubled(images):
    return {"labels": images[..., 0] * 2}


def test_every_image_is_written_with_its_own_result():
    written, progress, lock = {}, [], threading.Lock()

    def write(item, pixels, maps):
        with lock:
            written[item] = (pixels, maps["labels"])

    failed = stream(range(40), read=image, segment=doubled, write=write, on_progress=progress.append)
    assert failed == [] and progress == list(range(1, 41))
    for item in range(40):
        np.testing.assert_array_equal(written[item][0], image(item))
        np.testing.assert_array_equal(written[item][1], np.full((2, 3), 2 * item))


def test_failures_are_named_and_do_not_stop_the_others():
    def read(item):
        if item % 3 == 0:
            raise MsdaError(f"image {item} is damaged")
        return image(item, 2, item)

    def segment(images):
        if images.shape[2] == 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return doubled(images)

    written = []
    failed = stream(range(8), read=read, segment=segment, write=lambda item, *_: written.append(item), writers=1)
    assert written == [1, 2, 5, 7]
    reason = "4: 4x2 pixels do not fit into memory: shrink the image"
    assert sorted(failed) == sorted([*(f"image {item} is damaged" for item in (0, 3, 6)), reason])


def test_an_error_while_writing_ends_the_stream():
    def write(item, *_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        stream(range(3), read=image, segment=doubled, write=write)


def test_few_images_are_read_ahead():
    """A folder of thousands of images must not end up in memory."""
    reads, most = [], 0

    def read(item):
        reads.append(item)
        return image(0)

    def segment(images):
        nonlocal most
        most = max(most, len(reads) - segment.calls)
        segment.calls += 1
        return doubled(images)

    segment.calls = 0
    stream(range(100), read=read, segment=segment, write=lambda *_: None)
    assert most <= 12


def test_batches_on_a_gpu_hold_images_of_one_size(monkeypatch):
    sizes = [(2, 3), (2, 3), (2, 3), (4, 3), (2, 3)]
    pairs = [(number, image(number, *size)) for number, size in enumerate(sizes)]
    assert [len(batch) for batch in batches(pairs)] == [1, 1, 1, 1, 1]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["GPU:0"])
    assert [[item for item, _ in batch] for batch in batches(pairs)] == [[0, 1, 2], [3], [4]]
    monkeypatch.setattr(module, "BATCH_PIXELS", 12)
    assert [[item for item, _ in batch] for batch in batches(pairs)] == [[0, 1], [2], [3], [4]]

    written = {}
    monkeypatch.setattr(module, "BATCH_PIXELS", 100)
    stream(
        range(3), read=image, segment=doubled, write=lambda item, _, maps: written.update({item: maps["labels"][0, 0]})
    )
    assert written == {0: 0, 1: 2, 2: 4}
