"""Times as they are printed, and training as it is shown."""

import dataclasses
import io
import re

import pytest

from msda_tf.cli import terminal
from msda_tf.cli.progress import duration
from msda_tf.cli.train import TrainingProgress


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1 min"), (89, "1 min"), (3569, "59 min"), (3571, "1 h 00 min"), (100000, "27 h 47 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@dataclasses.dataclass
class Network:
    name: str


def shown(**options):
    """What a training of 100 steps writes to a console."""
    file = io.StringIO()
    console = terminal.console(file=file, **options)
    with TrainingProgress(console) as progress:
        for step in (0, 5, 10):
            progress(Network("sources"), step, 100, "seg 1.234  8.65 images/s, 2 % waiting")
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_time_left_and_figures_and_its_title_says_how_far(monkeypatch, width):
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown(force_terminal=True, width=width)
    assert "\x1b[22;0t\x1b]0;msda-tf: 0 % of sources\x07" in text and "\x1b]0;msda-tf: 10 % of sources" in text
    assert text.count("\x1b[22;0t") == 1 and text.rstrip().endswith("\x1b[23;0t")
    plain = re.sub(r"\x1b(\][^\x07]*\x07|\[[0-9;?]*[A-Za-z])", "", text)
    assert "sources: seg 1.234  8.65 images/s, 2 % waiting" in plain and " left" in plain and "10/100" in plain
    assert all(len(line) <= width for line in re.split(r"[\r\n]", plain))


def test_elsewhere_than_on_a_terminal_no_code_is_written(monkeypatch):
    assert "\x1b" not in shown(width=80) and "step 10 of 100  seg 1.234" in shown(width=80)
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b]0" not in shown(force_terminal=True, width=80)
