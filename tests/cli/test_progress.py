"""Times as they are printed."""

import pytest

from msda_tf.cli.progress import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1 min"), (89, "1 min"), (3569, "59 min"), (3571, "1 h 00 min"), (100000, "27 h 47 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
