"""Names as they are shown."""

import pytest

from msda_tf.errors import MsdaError
from msda_tf.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("frame 1 [old] größe 東京.png", "frame 1 [old] größe 東京.png"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\nlines\r\tand a tab\x00\x7f\x9b", "two\\nlines\\r\\tand a tab\\x00\\x7f\\x9b"),
        ("gpj.\u202egnp", "gpj.\\u202egnp"),  # shown backwards by terminals that know right-to-left writing
        ("stra\udcdfe", "stra\\xdfe"),  # Latin-1
        ("\U000e0001", "\\U000e0001"),
        ("a\\b", "a\\b"),
    ],
)
def test_nothing_acts(name, shown):
    assert printable(name) == shown
    assert printable(printable(name)) == shown


def test_no_character_that_acts_is_left():
    everything = "".join(map(chr, range(0x110000)))
    assert printable(everything).isprintable()


def test_errors_show_names_so():
    assert str(MsdaError("runs/\x1b]0;title\x07 is damaged")) == "runs/\\x1b]0;title\\x07 is damaged"
