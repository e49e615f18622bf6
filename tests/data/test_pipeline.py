"""From shards to batches, against NumPy and Pillow."""

import dataclasses
import io
import logging
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline, records, transforms
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.crops import Crops
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import CITYSCAPES_CLASSES

HEIGHT, WIDTH = 65, 129


def encoded(array, image_format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, image_format, **options)
    return buffer.getvalue()


def make_record(number, *, size=(HEIGHT, WIDTH), image_format="png", labelled=True):
    """A smooth random picture and a label map; both differ from record to record and from their mirror images."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8))
    image = np.asarray(coarse.resize(size[::-1], Image.BICUBIC))
    label = rng.choice(np.r_[0:19, 255], size).astype(np.uint8)
    return records.Record(
        filename=f"city/{number:03d}.{image_format}",
        image=encoded(image, image_format),
        image_format=image_format,
        height=size[0],
        width=size[1],
        label=encoded(label) if labelled else None,
    )


def write_shards(directory, split, examples, *, per_shard=3):
    shards = []
    for first in range(0, len(examples), per_shard):
        path = directory / f"{split}-{first // per_shard:03d}.tfrecord"
        part = examples[first : first + per_shard]
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in part:
                writer.write(example if isinstance(example, bytes) else records.to_example(example))
        shards.append(manifests.Shard(file=path.name, examples=len(part), bytes=path.stat().st_size, sha256="0" * 64))
    return tuple(shards)


def write_manifest(directory, train, *, evaluation=None, labelled=True):
    def split(shards):
        return manifests.Split(shards=shards, labelled=labelled, class_pixels=(0,) * 19, ignored_pixels=0)

    splits = {"train": split(train)} | ({"test": split(evaluation)} if evaluation else {})
    manifest = manifests.Manifest(
        name="town",
        kind="custom",
        classes=CITYSCAPES_CLASSES,
        height=HEIGHT,
        width=WIDTH,
        mean_rgb=(1.0, 2.0, 3.0),
        splits=splits,
        training_split="train",
        evaluation_split="test" if evaluation else None,
    )
    manifests.write(manifest, directory)
    return manifests.read(directory)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Ten labelled images in four shards."""
    directory = tmp_path_factory.mktemp("town")
    return write_manifest(directory, write_shards(directory, "train", [make_record(number) for number in range(10)]))


def batches(manifest, count, **options):
    defaults = {"labelled": True, "image_size": (HEIGHT, WIDTH), "batch_size": 4, "seed": 1, "stream": "town"}
    data_set = pipeline.training_batches(manifest, **{**defaults, "parallel": 2, **options})
    return list(data_set.take(count).as_numpy_iterator())


def names(found):
    return [name.decode() for batch in found for name in batch["filename"]]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for left, right in zip(found, expected, strict=True):
        assert left.keys() == right.keys()
        for key in left:
            np.testing.assert_array_equal(left[key], right[key])


def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)))


# What the batches hold


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_images_and_labels_are_those_that_pillow_decodes(tmp_path, image_format):
    examples = {}
    for number in range(4):
        example = make_record(number, image_format=image_format)
        examples[example.filename] = example
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", list(examples.values())))
    (batch,) = batches(manifest, 1)
    assert batch["image"].dtype == np.uint8 and batch["label"].dtype == np.uint8
    assert sorted(names([batch])) == sorted(examples)
    for image, label, filename in zip(batch["image"], batch["label"], names([batch]), strict=True):
        np.testing.assert_array_equal(image, pillow(examples[filename].image))
        np.testing.assert_array_equal(label, pillow(examples[filename].label))


@pytest.mark.parametrize("size", [(32, 64), (40, 100), (97, 150)])
def test_resizing_equals_pillow(tmp_path, size):
    example = make_record(0)
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", [example]))
    (batch,) = batches(manifest, 1, image_size=size, batch_size=1)
    expected = Image.open(io.BytesIO(example.image)).resize(size[::-1], Image.BICUBIC)
    difference = np.abs(batch["image"][0].astype(int) - np.asarray(expected))
    assert difference.max() <= 2
    assert (difference <= 1).mean() > 0.999
    np.testing.assert_array_equal(
        batch["label"][0], Image.open(io.BytesIO(example.label)).resize(size[::-1], Image.NEAREST)
    )


@pytest.mark.parametrize("size", [(32, 64), (40, 300), (65, 100), (97, 129)])
def test_resizing_equals_the_one_of_tensorflow(size):
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    expected = tf.image.resize(image, size, "bicubic", antialias=True).numpy()
    result = transforms.resize_image(tf.constant(image), size).numpy()
    np.testing.assert_array_equal(result, np.clip(np.round(expected), 0, 255))


def test_resizing_rounds_and_clips_to_bytes():
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, 8:] = 255
    # Bicubic over- and undershoots at the edge: without clipping, 8-bit numbers would wrap round.
    result = transforms.resize_image(tf.constant(stripes), (32, 32)).numpy()
    assert result[:, :14].max() == 0 and result[:, 18:].min() == 255


def test_labels_may_keep_their_size_while_images_shrink(town):
    (batch,) = batches(town, 1, image_size=(32, 64), label_size=(HEIGHT, WIDTH))
    assert batch["image"].shape == (4, 32, 64, 3)
    assert batch["label"].shape == (4, HEIGHT, WIDTH)


def test_shapes_are_static_and_odd_frames_fit_in(tmp_path):
    sizes = [(HEIGHT, WIDTH), (HEIGHT - 1, WIDTH + 3), (40, 50)]
    examples = [make_record(number, size=size) for number, size in enumerate(sizes)]
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", examples))
    data_set = pipeline.training_batches(
        manifest, labelled=True, image_size=(HEIGHT, WIDTH), batch_size=3, seed=0, stream="x", parallel=2
    )
    assert data_set.element_spec["image"].shape == (3, HEIGHT, WIDTH, 3)
    assert data_set.element_spec["label"].shape == (3, HEIGHT, WIDTH)
    assert data_set.element_spec["filename"].shape == (3,)
    assert len(set(names(data_set.take(1).as_numpy_iterator()))) == 3


def test_without_labels_a_damaged_label_is_never_looked_at(tmp_path):
    example = dataclasses.replace(make_record(0), label=b"not a picture")
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", [example]))
    (batch,) = batches(manifest, 1, labelled=False, corrupt=CorruptRecords(limit=0))
    assert batch.keys() == {"image", "filename"}


def test_flips_mirror_image_and_label_together_at_random(town):
    plain = batches(town, 50)
    mirrored = batches(town, 50, flip=True)
    turned = []
    for left, right in zip(plain, mirrored, strict=True):
        for index in range(4):
            same = np.array_equal(left["image"][index], right["image"][index])
            step = 1 if same else -1
            np.testing.assert_array_equal(right["image"][index], left["image"][index][:, ::step])
            np.testing.assert_array_equal(right["label"][index], left["label"][index][:, ::step])
            turned.append(not same)
    # Binomial of 200: mean 100, standard deviation 7.
    assert 65 < sum(turned) < 135
    other = batches(town, 10, flip=True, seed=2)
    assert [row.tobytes() for batch in other for row in batch["image"]] != [
        row.tobytes() for batch in mirrored[:10] for row in batch["image"]
    ]


# In which order they come


@pytest.mark.parametrize("cropped", [False, True])
def test_the_whole_image_comes_with_its_crop(town, cropped):
    """Mirrored together: where the window says, the whole shows what the crop shows."""
    crops = Crops((HEIGHT // 2, WIDTH // 3)) if cropped else None
    for found in batches(town, 4, flip=True, crops=crops, context=(HEIGHT, WIDTH), labelled=False):
        for image, whole, window in zip(found["image"], found["context"], found["window"], strict=True):
            top, left, bottom, right = np.round(window * np.array([HEIGHT - 1, WIDTH - 1] * 2)).astype(int)
            np.testing.assert_array_equal(image, whole[top : bottom + 1, left : right + 1])
    half = (HEIGHT // 2, WIDTH // 2)
    (small,), (plain,) = (
        batches(town, 1, labelled=False, **size) for size in ({"context": half}, {"image_size": half})
    )
    np.testing.assert_array_equal(small["context"], plain["image"])


def test_every_epoch_holds_every_image_once(town):
    seen = names(batches(town, 5, batch_size=10))
    epochs = [seen[first : first + 10] for first in range(0, 50, 10)]
    assert all(sorted(epoch) == sorted(epochs[0]) and len(set(epoch)) == 10 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_a_resumed_run_gets_what_an_uninterrupted_one_gets(town):
    once = batches(town, 20, flip=True)
    for first in (1, 17):
        assert_same(batches(town, 3, flip=True, first_batch=first), once[first : first + 3])


def test_how_many_are_decoded_at_once_changes_nothing(town):
    assert_same(batches(town, 20, flip=True, parallel=1), batches(town, 20, flip=True, parallel=5))


def test_starting_late_costs_nothing(town):
    (batch,) = batches(town, 1, first_batch=10**12)
    assert len(set(names([batch]))) >= 2


def test_workers_share_the_global_batches(town):
    whole = batches(town, 12, flip=True, first_batch=5)
    parts = [batches(town, 12, flip=True, first_batch=5, worker=worker, workers=2) for worker in (0, 1)]
    joined = [
        {key: np.concatenate([left[key], right[key]]) for key in left} for left, right in zip(*parts, strict=True)
    ]
    assert_same(joined, whole)


def test_no_tuner_is_left_behind_when_training_ends(town):
    """With several workers, the end of a training hung for up to a minute on the thread of tf.data's tuner."""
    training = pipeline.training_batches(
        town, labelled=True, image_size=(HEIGHT, WIDTH), batch_size=1, seed=0, stream="town"
    )
    assert training.options().autotune.enabled is False
    assert pipeline.evaluation_images(town, "train").options().autotune.enabled is False


def test_images_of_the_evaluation_split_can_be_left_out(tmp_path):
    evaluation = write_shards(tmp_path, "test", [make_record(number) for number in range(4)])
    rest = write_shards(tmp_path, "train", [make_record(number) for number in range(4, 9)])
    manifest = write_manifest(tmp_path, evaluation + rest, evaluation=evaluation)
    assert len(set(names(batches(manifest, 9, batch_size=1)))) == 9
    kept = names(batches(manifest, 10, batch_size=1, exclude_evaluation=True))
    assert set(kept) == {f"city/{number:03d}.png" for number in range(4, 9)}
    assert sorted(kept[:5]) == sorted(kept[5:])


# Evaluation


def test_evaluation_images_come_in_order_at_their_own_size(tmp_path):
    examples = [make_record(0), make_record(1, size=(64, 130)), make_record(2, image_format="jpeg"), make_record(3)]
    shards = write_shards(tmp_path, "test", examples)
    manifest = write_manifest(tmp_path, shards, evaluation=shards)
    found = list(pipeline.evaluation_images(manifest, "test", parallel=2).as_numpy_iterator())
    assert [example["filename"].decode() for example in found] == [example.filename for example in examples]
    for example, expected in zip(found, examples, strict=True):
        np.testing.assert_array_equal(example["image"], pillow(expected.image))
        np.testing.assert_array_equal(example["label"], pillow(expected.label))


@pytest.mark.parametrize(("limit", "expected"), [(1, [0]), (3, [0, 3, 6]), (5, [0, 2, 4, 6, 8]), (99, list(range(10)))])
def test_evaluation_can_take_an_evenly_spread_subset(town, limit, expected):
    found = pipeline.evaluation_images(town, "train", limit=limit, parallel=2).as_numpy_iterator()
    assert [example["filename"].decode() for example in found] == [f"city/{number:03d}.png" for number in expected]


def test_unlabelled_images_evaluate_without_label(tmp_path):
    shards = write_shards(tmp_path, "train", [make_record(0, labelled=False)])
    manifest = write_manifest(tmp_path, shards, labelled=False)
    (example,) = pipeline.evaluation_images(manifest, "train").as_numpy_iterator()
    assert example.keys() == {"image", "filename"}


# What goes wrong


def good(number):
    return make_record(number)


def replaced(number, **changes):
    return dataclasses.replace(make_record(number), **changes)


DAMAGES = {
    "unparsable": (b"\xff\xff\xff nonsense", r"cannot be parsed"),
    "empty": (b"", r"cannot be parsed \(the example has no image/filename\)"),
    "no label": (make_record(1, labelled=False), r"\(city/001\.png\) has no label"),
    "cut image": (replaced(1, image=make_record(1).image[:-2000]), r"\(city/001\.png\) has an image that cannot be"),
    "cut jpeg": (replaced(1, image=encoded(pillow(make_record(1).image), "JPEG")[:-300]), r"has an image that cannot"),
    "no image": (replaced(1, image=b"GIF89b, they say"), r"has an image that cannot be decoded"),
    "cut label": (replaced(1, label=make_record(1).label[:-2000]), r"has a label that does not fit"),
    "other size": (replaced(1, label=make_record(1, size=(64, WIDTH)).label), r"it has another size than the image"),
    "colour label": (replaced(1, label=make_record(1).image), r"it is not an 8-bit greyscale PNG"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupt_record_is_named_skipped_and_counted(tmp_path, caplog, damage):
    example, reason = DAMAGES[damage]
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", [good(0), example, good(2), good(3)]))
    sound = write_manifest(tmp_path, write_shards(tmp_path, "sound", [good(0), good(2), good(2), good(3)]))
    corrupt = CorruptRecords(limit=1)
    with caplog.at_level(logging.WARNING, logger="absl"):
        found = batches(manifest, 6, corrupt=corrupt)
    # The next good record stands in for it, always at the same places, and nothing else moves.
    assert_same(found, batches(sound, 6))
    assert corrupt.count == 1
    (message,) = [record.getMessage() for record in caplog.records if "train-000.tfrecord" in record.getMessage()]
    assert "train-000.tfrecord: record 1 " in message and "skipped (1 of at most 1)" in message
    assert re.search(reason, message)


def test_rot_in_a_shard_is_found_by_its_checksum(tmp_path):
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", [good(number) for number in range(5)]))
    path = tmp_path / "train-001.tfrecord"
    data = bytearray(path.read_bytes())
    # One bit inside the compressed pixels of the second shard's first image.
    data[data.index(b"IDAT") + 100] ^= 1
    path.write_bytes(data)
    corrupt = CorruptRecords(limit=0)
    reason = r"train-001\.tfrecord: record 0 is damaged \(wrong checksum\): copy"
    with pytest.raises(MsdaError, match=reason), corrupt.raising():
        batches(manifest, 10, corrupt=corrupt)
    # In an evaluation a missing image would change the score: none is replaced.
    with pytest.raises(tf.errors.OpError, match=r"train-001\.tfrecord: record 0"):
        list(pipeline.evaluation_images(manifest, "train", parallel=2))


def test_more_corrupt_records_than_allowed_fail(tmp_path):
    nothing = [replaced(number, image=b"") for number in range(3)]
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", [good(9), *nothing]))
    corrupt = CorruptRecords(limit=2)
    with pytest.raises(MsdaError, match=r"and 2 others are corrupt, which is all that is allowed"), corrupt.raising():
        batches(manifest, 10, corrupt=corrupt)
    corrupt = CorruptRecords(limit=3)
    assert set(names(batches(manifest, 10, corrupt=corrupt))) == {"city/009.png"}
    assert corrupt.count == 3


def test_a_split_of_corrupt_records_only_fails(tmp_path):
    manifest = write_manifest(tmp_path, write_shards(tmp_path, "train", [replaced(0, image=b"")]))
    corrupt = CorruptRecords(limit=5)
    with pytest.raises(MsdaError, match="record 0 is corrupt, and so is every other .*: copy"), corrupt.raising():
        batches(manifest, 1, corrupt=corrupt)


def test_other_tensorflow_errors_pass_through():
    with pytest.raises(tf.errors.OutOfRangeError), CorruptRecords(limit=0).raising():
        raise tf.errors.OutOfRangeError(None, None, "the end")


def test_what_cannot_work_is_refused_at_once(tmp_path, town):
    with pytest.raises(UsageError, match="batch_size 4 must be a multiple of the number of workers, 3"):
        batches(town, 1, workers=3)
    with pytest.raises(UsageError, match="'town' has no split 'val', only train"):
        pipeline.evaluation_images(town, "val")
    unlabelled = write_manifest(
        tmp_path, write_shards(tmp_path, "train", [make_record(0, labelled=False)]), labelled=False
    )
    with pytest.raises(UsageError, match="'town' has no labels in its split 'train'"):
        batches(unlabelled, 1)
    shards = write_shards(tmp_path, "test", [make_record(0)])
    same = write_manifest(tmp_path, shards, evaluation=shards)
    with pytest.raises(UsageError, match="no images in its split 'train' but those of its evaluation split"):
        batches(same, 1, exclude_evaluation=True)
    (tmp_path / shards[0].file).write_bytes(b"123")
    with pytest.raises(MsdaError, match=r"test-000\.tfrecord is truncated"):
        batches(same, 1)
