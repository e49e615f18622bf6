"""Every knob of a stylize run is documented and read."""

import pathlib

import knob_reads

from msda_tf.config import knobs
from msda_tf.stylize.config import FREE, StylizeConfig

ROOT = pathlib.Path(__file__).parents[2]
FIELDS = list(knobs.fields(StylizeConfig))


def test_every_knob_is_read():
    assert set(FIELDS) - knob_reads.keys("stylize", without=("config.py",)) == set()


def test_what_may_change_on_the_way_are_knobs():
    assert set(FREE) < set(FIELDS)
