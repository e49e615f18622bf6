"""tf-models-official (extra `models`) reads our shards: its segmentation decoder and parser give the same pixels."""

import numpy as np
import pytest
import raw_sets
import tensorflow as tf
from PIL import Image

from msda_tf.data.writing.images import Storage
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.readers import cityscapes, custom, description

segmentation_input = pytest.importorskip(
    "official.vision.dataloaders.segmentation_input",
    reason="tf-models-official holds TensorFlow at 2.20: install msda-tf[test,models] in an environment of its own",
)


def read_back(manifest, split, height=65, width=129):
    """File name -> (image, label), as tf-models-official's evaluation input makes them from our shards."""
    decoder = segmentation_input.Decoder()
    parser = segmentation_input.Parser(output_size=[height, width], resize_eval_groundtruth=True, ignore_label=255)
    feature = segmentation_input.config_lib.DenseFeatureConfig()
    found = []
    for serialized in tf.data.TFRecordDataset([str(path) for path in manifest.shard_paths(split)]):
        decoded = decoder.decode(serialized)
        assert (int(decoded["image/height"]), int(decoded["image/width"])) == (height, width)
        image, labels = parser.parse_fn(is_training=False)(decoded)
        pixels = image.numpy() * np.array(feature.stddev) + np.array(feature.mean)  # its normalization undone
        found.append((pixels, labels["masks"].numpy()[..., 0], labels["valid_masks"].numpy()[..., 0]))
    return found


def test_png(tmp_path):
    made = raw_sets.cityscapes(tmp_path / "raw", {"train": 2, "val": 2})
    manifest = convert.prepare(cityscapes.find(tmp_path / "raw"), output=tmp_path, name="c").manifest
    expected = [made[name] for name in sorted(made) if "/val/" in name]
    for (image, label, valid), (true_image, true_label) in zip(read_back(manifest, "val"), expected, strict=True):
        np.testing.assert_allclose(image, true_image, atol=1e-3)
        np.testing.assert_array_equal(label, true_label)
        np.testing.assert_array_equal(valid, true_label != 255)


def test_jpeg(tmp_path):
    """JPEG bytes that were kept decode there as they decode everywhere in TensorFlow."""
    (tmp_path / "raw").mkdir()
    Image.fromarray(raw_sets.image(0)).save(tmp_path / "raw/a.jpg")
    Image.fromarray(raw_sets.ids(0, (0, 1, 255))).save(tmp_path / "raw/a.png")
    (tmp_path / "toys.yaml").write_text(
        "name: toys\nsplits: {train: {images: '*.jpg', labels: '*.png'}}\nclasses: cityscapes\nignore: [255]\n"
    )
    raw = custom.find(tmp_path / "raw", description.read(tmp_path / "toys.yaml"))
    ((image, label, _),) = read_back(convert.prepare(raw, output=tmp_path, name="t").manifest, "train")
    decoded = tf.io.decode_image((tmp_path / "raw/a.jpg").read_bytes()).numpy()
    np.testing.assert_allclose(image, decoded, atol=1e-3)
    np.testing.assert_array_equal(label, raw_sets.ids(0, (0, 1, 255)))


def test_resized_while_preparing(tmp_path):
    made = raw_sets.cityscapes(tmp_path / "raw", {"val": 1})
    raw = cityscapes.find(tmp_path / "raw")
    manifest = convert.prepare(raw, output=tmp_path, name="c", storage=Storage(0.5)).manifest
    ((image, label, _),) = read_back(manifest, "val", 32, 64)
    ((full, full_label),) = made.values()
    resized = Image.fromarray(full).resize((64, 32), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(image, np.asarray(resized), atol=1e-3)
    nearest = Image.fromarray(full_label).resize((64, 32), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(label, np.asarray(nearest))
