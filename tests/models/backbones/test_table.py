"""Every backbone of the table keeps the contract, and the table is read without TensorFlow."""

import functools
import subprocess
import sys

import backbone_contract as contract
import pytest

from msda_tf.models import backbones

SMALLEST = sorted({entry.module: name for name, entry in backbones.BACKBONES.items()}.values())
"""Of each module: a table's lines go from large to small."""

CASES = [*((name, "frozen") for name in SMALLEST), ("tiny", "group")]


@pytest.fixture(params=CASES, ids=":".join)
def case(request):
    """(what makes the backbone, its norm)."""
    name, norm = request.param
    return functools.partial(backbones.make, name), norm


# Those left out are the code of their smaller sisters, at up to a gigabyte each.
@pytest.mark.parametrize(
    "name", [name for name in backbones.BACKBONES if not name.startswith(("dinov2-l", "dinov2-b"))]
)
def test_it_builds(name):
    contract.check_build(functools.partial(backbones.make, name), norm="frozen")


def test_odd_sizes_and_batches(case):
    make, norm = case
    contract.check_sizes(make, norm=norm)
    contract.check_batches(make, norm=norm)


def test_save_and_restore(case, tmp_path):
    make, norm = case
    contract.check_save_and_restore(make, tmp_path, norm=norm)


def test_mixed_precision(case):
    make, norm = case
    contract.check_precision(make, norm=norm, tolerance=0.05)


@pytest.mark.parametrize("name", SMALLEST)
def test_recomputed_blocks(name):
    contract.check_recompute(functools.partial(backbones.make, name), norm="frozen")


@pytest.mark.parametrize("name", SMALLEST)
def test_export(name, tmp_path):
    contract.check_export(functools.partial(backbones.make, name), tmp_path, norm="frozen")


def test_what_can_be_folded(case):
    make, norm = case
    contract.check_foldable(make, norm=norm)


def test_the_table_is_read_without_tensorflow():
    code = "import sys, msda_tf.models.backbones, msda_tf.models.decoders; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
