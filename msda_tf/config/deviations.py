"""How a configuration differs from the preset that it is nearest to: what a reader must know beside its scores."""

from msda_tf.config.knobs import to_dict
from msda_tf.config.presets import PRESETS
from msda_tf.config.train_config import TrainConfig

# What tells runs apart, and where and how often things are written: no deviation from what a preset stands for.
_OWN = (
    "target",
    "sources",
    "data",
    "seed",
    "corrupt_limit",
    "checkpoint_every",
    "keep_checkpoints",
    "evaluate_every",
    "evaluate_images",
)


def nearest_preset(config: TrainConfig) -> tuple[str, dict]:
    """The preset of which the fewest settings were changed (the first of several), and these with their values."""
    values = to_dict(config)
    changes = {}
    for preset, chosen in PRESETS.items():
        expected = to_dict(TrainConfig(**chosen))
        changes[preset] = {key: value for key, value in values.items() if key not in _OWN and value != expected[key]}
    name = min(changes, key=lambda preset: len(changes[preset]))
    return name, changes[name]


def described(config: TrainConfig, most: int = 8) -> str:
    """In words: "preset tiny, with layout=joint, steps=200"."""
    name, changes = nearest_preset(config)
    if not changes:
        return f"preset {name}"
    parts = [f"{key}={_text(value)}" for key, value in changes.items()]
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return f"preset {name}, with {', '.join(parts[:most] + more)}"


def _text(value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
