"""The split of the two simulated data sets: all frames are for training, the first ones also for testing.

Russo et al. (2019), section 4: methods are tested on the first 500 frames of SYNTHIA and on 500 frames of GTA5, and
trained on the full data sets.
"""

from msda_tf.errors import UsageError

from .frames import Frame, Part

TEST_FRAMES = 500


def first_as_test(
    frames: list[Frame], *, names: list[str], test_frames: int
) -> tuple[tuple[Part, ...], dict[str, tuple[str, ...]], list[str]]:
    """Splits frames into the first ones and the rest.

    Args:
      frames: the usable ones.
      names: names of all images, whether usable or not, sorted: the test split is among the first of these, so that
        a bad frame does not move the others.
      test_frames: how many.

    Returns:
      Parts, splits and notices as `RawDataset` takes them.
    """
    if test_frames < 1:
        raise UsageError(f"--test-frames is {test_frames}: at least 1 is needed")
    first = set(names[:test_frames])
    test = Part("test", tuple(frame for frame in frames if frame.name in first), labelled=True)
    rest = Part("train", tuple(frame for frame in frames if frame.name not in first), labelled=True)
    if not rest.frames:
        notice = f"no more than {test_frames} images: train and test are the same ones (--test-frames N changes that)"
        return (test,), {"train": ("test",), "test": ("test",)}, [notice]
    return (test, rest), {"train": ("test", "train"), "test": ("test",)}, []
