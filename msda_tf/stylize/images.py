"""Between pictures, 0-255, and what UNIT's networks see, -1..1; and the crops that training shows them."""

import tensorflow as tf

from msda_tf.data import pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data.manifest import Manifest
from msda_tf.data.order import stream_key
from msda_tf.data.transforms import Size
from msda_tf.stylize.config import StylizeConfig


def to_network(images: tf.Tensor) -> tf.Tensor:
    """uint8 `[..., 3]` to float32 in -1..1."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def to_picture(images: tf.Tensor) -> tf.Tensor:
    """Float32 `[..., 3]` in -1..1 to uint8."""
    return tf.saturate_cast(tf.round((tf.cast(images, tf.float32) + 1.0) * 127.5), tf.uint8)


def working_size(config: StylizeConfig, manifest: Manifest) -> Size:
    """(height, width) of a data set's images before they are cropped: aspect kept."""
    if config.shortest_side is None:
        return manifest.height, manifest.width
    scale = config.shortest_side / min(manifest.height, manifest.width)
    return round(manifest.height * scale), round(manifest.width * scale)


def crops(
    manifest: Manifest,
    *,
    config: StylizeConfig,
    stream: str,
    first_batch: int = 0,
    batch_size: int,
    flip: bool,
    worker: int = 0,
    workers: int = 1,
    corrupt: CorruptRecords | None = None,
) -> tf.data.Dataset:
    """Random crops of the training images, shuffled anew every epoch, without end; labels are not read.

    Every crop's place depends on the seed, the stream and its position in it alone.

    Args:
      manifest: a prepared data set.
      config: sizes and seed.
      stream: name of this stream of images.
      first_batch, batch_size, flip, worker, workers, corrupt: as for `msda_tf.data.pipeline.training_batches`.

    Returns:
      A data set of dictionaries: `image` uint8 `[B, crop, crop, 3]`, `filename` string `[B]`.
    """
    height, width = working_size(config, manifest)
    batches = pipeline.training_batches(
        manifest,
        labelled=False,
        image_size=(height, width),
        batch_size=batch_size,
        seed=config.seed,
        stream=stream,
        first_batch=first_batch,
        flip=flip,
        worker=worker,
        workers=workers,
        corrupt=corrupt,
    )
    share, key = batch_size // workers, stream_key(config.seed, f"{stream}/crop")
    places = tf.constant([height - config.crop + 1, width - config.crop + 1])

    def cropped(batch_number, batch):
        first = batch_number * batch_size + worker * share

        def crop(number):
            draws = tf.random.stateless_uniform([2], [key, first + number], alg="philox")
            corner = tf.cast(draws * tf.cast(places, tf.float32), tf.int32)
            return tf.slice(batch["image"][number], [*tf.unstack(corner), 0], [config.crop, config.crop, 3])

        return {**batch, "image": tf.stack([crop(number) for number in range(share)])}

    with_options = batches.options()
    return batches.enumerate(first_batch).map(cropped).prefetch(2).with_options(with_options)
