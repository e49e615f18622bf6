"""The configuration of a training run: knobs, presets, and which networks they describe."""

from msda_tf.config.train_config import (
    FIELDS,
    PAPER_DATASETS,
    TrainConfig,
    from_saved,
    read_yaml,
    resolve,
    to_dict,
    validate,
)

__all__ = ["FIELDS", "PAPER_DATASETS", "TrainConfig", "from_saved", "read_yaml", "resolve", "to_dict", "validate"]
