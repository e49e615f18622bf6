"""A task of a few numbers for the trainer, whose outcome depends on every batch and on their order."""

import tensorflow as tf

from msda_tf.training.trainer import Evaluation, Schedule, Trainer


class Walk:
    """Adds the batch's number, weighted by the weights so far: any replayed or skipped batch changes the outcome."""

    name = "walk"

    def __init__(self, *, accident=None, scores=()):
        self.weights = tf.Variable(tf.ones([3], tf.float64))
        self.checkpointables = {"model": tf.train.Checkpoint(weights=self.weights)}
        self.accident = accident or (lambda step: None)
        self.scores = list(scores)
        self.opened_at = None

    def batches(self, first_step):
        self.opened_at = first_step
        step = first_step
        while True:
            yield step
            step += 1

    def train_step(self, batch):
        loss = self.accident(batch)
        self.weights.assign(self.weights * 1.001 + tf.math.sin(tf.constant([1.0, 2.0, 3.0], tf.float64) * batch))
        return {"loss": tf.constant(float(batch) if loss is None else loss)}

    def learning_rates(self, step):
        return {"learning_rate": 1.0}

    def image_names(self, batch):
        return [f"image{batch}.png"]

    def images_per_step(self):
        return 1

    def evaluate(self):
        return Evaluation(scalars={"miou": self.scores[0]}, score=self.scores.pop(0)) if self.scores else Evaluation({})

    def headline(self, metrics):
        return f"loss {metrics['loss']:.1f}"


def trainer(directory, task, *, steps=23, every=5, evaluate_every=0, keep=2):
    schedule = Schedule(
        steps=steps, checkpoint_every=every, keep_checkpoints=keep, evaluate_every=evaluate_every, log_every=2
    )
    return Trainer(task, directory, schedule=schedule)
