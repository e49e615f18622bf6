"""Multi-source domain-adaptive semantic segmentation of street scenes.

`msda_tf.load("runs/my-city").segment("frame.png")` uses what was trained; the commands are functions of the same names:
`msda_tf.train.train`, `msda_tf.evaluate.evaluate`, `msda_tf.predict.predict`, `msda_tf.export.export`.
"""

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str):
    # Not at once: most commands, and whoever asks for the version, need no TensorFlow.
    if name == "load":
        from msda_tf.segmentation import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
