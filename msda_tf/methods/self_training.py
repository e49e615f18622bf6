"""Self-training on the branches: every branch learns from its own source, and from that source mixed with the target.

A teacher, the moving average of the whole network, labels the target by its branches' merged prediction. The network
minimises, over levels l and branches s,

    sum_l sum_s  lambda_seg_l * (L_seg(own source) + L_mix(own source mixed with the target, pseudo-labels))

where L_mix is the cross-entropy with a weight for each pixel (W. Tranheden et al., "DACS", WACV 2021, eqs. 1-4), here
for each branch. With discriminators the adversarial terms of eq. 4 are added. Options of DAFormer and MIC (L. Hoyer et
al., CVPR 2022 and 2023): the distance of features to the starting weights, and masked target images.
"""

import tensorflow as tf

from msda_tf.config import TrainConfig
from msda_tf.config.branches import NetworkPlan
from msda_tf.errors import UsageError
from msda_tf.inference.merge import CALIBRATED
from msda_tf.inference.networks import build_segmenter
from msda_tf.methods import METHODS, adversarial, feature_distance, losses, moving_average, supervised
from msda_tf.methods.class_floor import ClassFloor
from msda_tf.methods.domain_pass import HeadLosses, Term
from msda_tf.methods.teacher import Shares, State, Teacher
from msda_tf.methods.views import Views
from msda_tf.models.layers.resize import upsample
from msda_tf.models.preprocess import centred


def make(*, config: TrainConfig, segmenter, feeds, strategy) -> "SelfTraining":
    """The method with its teacher and the configuration's optimizers (call it inside the strategy's scope)."""
    if config.jit and config.feature_distance and strategy.num_replicas_in_sync > 1:
        raise UsageError(
            "jit compiles what each device does by itself, and feature_distance counts over all of them: leave one out"
        )
    base = adversarial if METHODS[config.method].discriminators else supervised
    like = NetworkPlan("teacher", segmenter.branches, feeds, pooled=False)

    def another():
        return build_segmenter(config, like, segmenter.num_classes, discriminators=False)

    classes, calibrated = segmenter.num_classes, config.pseudo_merge in CALIBRATED
    shares = Shares(len(segmenter.branches), classes) if calibrated else None
    floor = ClassFloor(classes) if config.pseudo_floor else None
    return SelfTraining(
        base=base.make(config=config, segmenter=segmenter, feeds=feeds, strategy=strategy),
        teacher=Teacher(config, segmenter, another(), State(classes), strategy, shares, floor),
        start=another().backbone if config.feature_distance else None,
    )


class SelfTraining:
    """See `msda_tf.methods.contract.Method`; the target's images may have `inside`, uint8 `[B, H, W]`: 0 in margins.

    Args:
      base: the method whose step this one adds to: `Supervised` or `Adversarial`.
      teacher: of the same network.
      start: a backbone of the same kind, for the feature distance, which `begin` makes a copy of the starting one; or
        None.
    """

    def __init__(self, *, base, teacher: Teacher, start=None):
        self.base, self.teacher, self.start = base, teacher, start
        self.config, self.segmenter, self.feeds, self.strategy = base.config, base.segmenter, base.feeds, base.strategy
        self.serves = teacher.network if self.config.serve == "teacher" else self.segmenter
        self.headline = base.headline | {"mix": "mix/output/", "sure": "pseudo_label/sure"}
        self.checkpointables = base.checkpointables | {"teacher": teacher.network, "self_training": teacher.state}
        if teacher.shares is not None:
            self.checkpointables["pseudo_shares"] = teacher.shares
        if teacher.floor is not None:
            self.checkpointables["pseudo_floor"] = teacher.floor
        if start is not None:
            self.checkpointables["start"] = start
        self.views = Views(self.config, self.segmenter.num_classes)
        self._lambda_seg = {"feature": self.config.seg_weight_feature, "output": self.config.seg_weight_output}

    @property
    def together(self) -> bool:
        """See `msda_tf.methods.contract.Method`."""
        return self.base.together

    @together.setter
    def together(self, value: bool):
        self.base.together = value

    def begin(self) -> None:
        """To be called before the first step, when starting weights are there: all networks get the same."""
        self.teacher.begin()
        if self.start is not None:
            moving_average.copy(self.start.variables, self.segmenter.backbone.variables)

    def step(self, batch: dict) -> dict[str, tf.Tensor]:
        """The teacher follows and labels the target; the network descends on all terms; the teacher's turn, or next."""
        self.teacher.follow("before")
        network, discriminator, metrics = self.gradients(batch)
        metrics |= self.base.descend(network, discriminator)
        self.teacher.follow("after")
        self.teacher.count()
        return metrics

    def gradients(self, batch: dict):
        """(network's gradients, discriminators' gradients, metrics) of one replica's batch."""
        pseudo, found = self.teacher.label(batch["target"])
        context = tf.distribute.get_replica_context()
        where = {"replica": context.replica_id_in_sync_group, "replicas": context.num_replicas_in_sync}
        batch = batch | self.views.of(batch, pseudo, self.teacher.state.steps.value, **where)
        pixels = self._counted_pixels(batch)
        network, discriminator, metrics = self.base.gradients(
            batch,
            further=lambda part: self._further_terms(part, pixels),
            on_source_map=None if self.start is None else self._feature_distance,
        )
        return network, discriminator, metrics | found

    def _further_terms(self, part: dict, pixels: dict) -> list[Term]:
        """L_mix of every feed's branches, and of all branches for the masked target."""
        terms = [
            Term(mixed, branches, self._pseudo_terms("mix", self.config.mix_weight, pixels))
            for branches, mixed in zip(self.feeds, part["mixed"], strict=True)
        ]
        if self.config.masked:
            masked = self._pseudo_terms("masked", self.config.mask_weight, pixels)
            terms.append(Term(part["masked"], self.segmenter.branches, masked))
        return terms

    def _pseudo_terms(self, name: str, factor: float, pixels: dict):
        def terms(level, branch, logits, images) -> HeadLosses:
            maps = upsample(logits, images["label"].shape[1:3], align_corners=self.config.align_corners)
            loss = losses.segmentation_loss(maps, images["label"], pixels[name, branch], images["weight"])
            return HeadLosses(factor * self._lambda_seg[level] * loss, None, {f"{name}/{level}/{branch}": loss})

        return terms

    def _counted_pixels(self, batch) -> dict:
        """What each term's sum over pixels is divided by, of all replicas and micro-batches: float32 scalars."""
        fed = list(zip(self.feeds, batch["mixed"], strict=True))
        pixels = {
            ("mix", branch): tf.add_n([self.base.pixels(mixed["label"]) for feed, mixed in fed if branch in feed])
            for branch in self.segmenter.branches
        }
        if self.config.masked:
            all_ = self.base.pixels(batch["masked"]["label"])
            pixels |= {("masked", branch): all_ for branch in self.segmenter.branches}
        if self.strategy.num_replicas_in_sync > 1:
            pixels = tf.distribute.get_replica_context().all_reduce("SUM", pixels)
        return pixels

    def _feature_distance(self, features, source):
        """lambda_fd * mean distance, over the cells of a source's things, and its metric."""
        config = self.config
        start = self.start(centred(source["image"], source["mean"]), training=False)[-1]
        cells = feature_distance.cells_of(source["label"], features.shape[1:3], config.feature_distance_classes)
        count = tf.reduce_sum(cells)
        if self.strategy.num_replicas_in_sync > 1:
            count = tf.distribute.get_replica_context().all_reduce("SUM", count)
        summed = feature_distance.distance(features, start, cells)
        loss = summed / tf.maximum(count, 1.0) / config.accumulate / len(self.feeds)
        return config.feature_distance_weight * loss, {"feature_distance": loss}

    def shown(self, batch: dict) -> dict[str, tf.Tensor]:
        """What the step makes of the first target image of a batch on one device, outside of training.

        Returns:
          `target` uint8 `[H, W, 3]`, `pseudo-label` uint8, `confidence` and `weight` float32 `[H, W]`, and of each feed
          `mixed BRANCH` float32 `[H, W, 3]` with `mixed BRANCH label` uint8 and `mixed BRANCH weight` float32 `[H, W]`.
        """
        target, state = batch["target"], self.teacher.state
        labels, confidence = self.teacher.predict(target)
        share = tf.reduce_mean(tf.cast(confidence >= self.config.pseudo_threshold, tf.float32))
        weight = self.teacher.weigh(target, labels, confidence, sureness=state.sureness.value, share=share)
        views = self.views.of(batch, {"label": labels, "weight": weight}, state.steps.value, replica=0, replicas=1)
        found = {"target": target["image"], "pseudo-label": labels, "confidence": confidence, "weight": weight}
        for branches, mixed in zip(self.feeds, views["mixed"], strict=True):
            name = f"mixed {branches[0]}"
            found |= {name: mixed["image"], f"{name} label": mixed["label"], f"{name} weight": mixed["weight"]}
        return {name: value[0] for name, value in found.items()}

    def learning_rates(self, step: int) -> dict[str, float]:
        """Those of the method that this one adds to."""
        return self.base.learning_rates(step)
