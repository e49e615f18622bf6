"""The images that self-training's network sees besides a batch's own: mixed, strongly augmented, and masked.

Every draw belongs to the seed, the step, and an image's place in the whole batch: a run that goes on, or has its batch
spread over other devices, sees the same images.
"""

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.data import augment
from msda_tf.data.order import stream_key
from msda_tf.methods import class_mix, masked_images


class Views:
    """Makes them.

    Args:
      config: recipes and seed.
      classes: C.
    """

    def __init__(self, config: TrainConfig, classes: int):
        self._config, self._classes = config, classes

    def of(self, batch: dict, pseudo: dict, step: tf.Tensor, *, replica, replicas: int) -> dict:
        """Of one replica's batch.

        Args:
          batch: see `msda_tf.methods.contract.Method`; images of all domains have one size.
          pseudo: `label` uint8 `[B, H, W]` and `weight` float32 `[B, H, W]` of the target's images.
          step: int64 `[]`.
          replica: number of the device, int or int32 `[]`.
          replicas: how many there are.

        Returns:
          `mixed`: for each feed `image` float32 `[B, H, W, 3]`, `mean` float32 `[3]`, `label` uint8 `[B, H, W]` and
          `weight` float32 `[B, H, W]`; and, if so configured, `masked` in the same form.
        """
        target = {name: tf.convert_to_tensor(batch["target"][name]) for name in ("image", "mean")}
        places = replica * target["image"].shape[0] + tf.range(target["image"].shape[0])
        draw = _Draws(self._config.seed, step, places, of=target["image"].shape[0] * replicas)
        found = {
            "mixed": [
                self._mixed(source, target, pseudo, draw, f"mix {number}")
                for number, source in enumerate(batch["sources"])
            ]
        }
        if self._config.masked:
            found["masked"] = self._masked(target, pseudo, draw)
        return found

    def _mixed(self, source, target, pseudo, draw, name) -> dict:
        shown = class_mix.present(source["label"], self._classes)
        if self._config.classmix_classes == "batch":
            seen = tf.cast(tf.reduce_any(shown, axis=0, keepdims=True), tf.int32)
            context = tf.distribute.get_replica_context()
            if context is not None and context.num_replicas_in_sync > 1:
                seen = context.all_reduce("SUM", seen)
            shown = tf.broadcast_to(seen > 0, tf.shape(shown))
        chosen = class_mix.chosen(shown, draw.of_images(f"{name}/classes", self._classes + 1))
        pasted = class_mix.mask(source["label"], chosen)
        # Each domain stays centred by its own mean: source pixels are shifted to the target's.
        shifted = tf.cast(source["image"], tf.float32) - source["mean"] + target["mean"]
        image = tf.where(pasted[..., None], shifted, tf.cast(target["image"], tf.float32))
        return {
            "image": self._strong(image, draw, name),
            "mean": target["mean"],
            "label": tf.where(pasted, source["label"], pseudo["label"]),
            "weight": tf.where(pasted, 1.0, pseudo["weight"]),
        }

    def _masked(self, target, pseudo, draw) -> dict:
        config = self._config
        size = target["image"].shape[1:3]
        rows, columns = masked_images.grid(*size, config.mask_block)
        draws = tf.reshape(draw.of_images("mask/blocks", rows * columns), [-1, rows, columns])
        image = self._strong(tf.cast(target["image"], tf.float32), draw, "mask")
        stays = masked_images.shown(draws, size, config.mask_ratio)
        return {**target, **pseudo, "image": masked_images.hidden(image, stays, target["mean"])}

    def _strong(self, images, draw, name):
        config = self._config
        return augment.strong(
            images,
            jitter=config.colour_jitter,
            blurred=config.blur,
            of_batch=draw.of_batch(f"{name}/whether", 2),
            of_images=draw.of_images(f"{name}/how much", 5),
        )


class _Draws:
    """Uniform numbers in 0-1 by name, for a step: of the whole batch, and of the images at some of its places."""

    def __init__(self, seed: int, step: tf.Tensor, places: tf.Tensor, *, of: int):
        self._seed, self._step, self._places, self._all = seed, step, places, of

    def of_batch(self, name: str, count: int) -> tf.Tensor:
        """float32 `[count]`."""
        return self._uniform([count], name)

    def of_images(self, name: str, count: int) -> tf.Tensor:
        """float32 `[B, count]`."""
        rows = tf.gather(self._uniform([self._all, count], name), self._places)
        return tf.ensure_shape(rows, [self._places.shape[0], count])

    def _uniform(self, shape, name):
        key = tf.stack([tf.constant(stream_key(self._seed, f"views/{name}"), tf.int64), tf.cast(self._step, tf.int64)])
        return tf.random.stateless_uniform(shape, key, alg="philox")
