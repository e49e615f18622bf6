"""The optimizers that a configuration asks for."""

from msda_tf.config import TrainConfig
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.training.optimizers import make_optimizer, poly_decay, with_loss_scale


def learning_rate(config: TrainConfig, start: float):
    """A learning rate's schedule: DeepLab's poly decay, after a warm-up if there is one."""
    steps = config.poly_steps or config.steps
    return poly_decay(start, steps=steps, power=config.poly_power, warm_up=config.warm_up)


def generator_optimizer(config: TrainConfig, segmenter: MultiSourceSegmenter):
    """Trains the backbone and the classifiers, these with a learning rate of their own."""
    variables = segmenter.generator_variables
    multipliers = {variable.path: config.head_lr_mult for variable in segmenter.head_variables}
    if config.layer_decay != 1.0:
        groups = segmenter.backbone.groups()
        # The last block is one step away from the classifiers, the input as many as there are groups.
        for number, group in enumerate(groups):
            multipliers |= {variable.path: config.layer_decay ** (len(groups) - number) for variable in group}
    optimizer = make_optimizer(
        config.optimizer,
        learning_rate(config, config.generator_lr),
        variables=variables,
        weight_decay=config.weight_decay,
        multipliers=multipliers,
        momentum=config.momentum,
    )
    return with_loss_scale(config.precision, optimizer, variables)


def discriminator_optimizer(config: TrainConfig, segmenter: MultiSourceSegmenter):
    """Trains the discriminators, with AdaptSegNet's betas; the generator keeps Adam's own."""
    variables = segmenter.discriminator_variables
    schedule = learning_rate(config, config.discriminator_lr)
    optimizer = make_optimizer("adam", schedule, variables=variables, beta_2=0.99)
    return with_loss_scale(config.precision, optimizer, variables)
