"""prepare on Beam writes what it writes on one machine, whatever the number of workers and whatever happens to them."""

import dataclasses

import pytest
import raw_sets
from beam_jobs import ONE, TWO, DeadlyLabels, workers_find_this
from PIL import Image

from msda_tf.data_prep.conversion import convert, on_beam, shards
from msda_tf.data_prep.readers import gta5
from msda_tf.errors import MsdaError, UsageError

pytest.importorskip("apache_beam", reason="needs the extra beam")
__all__ = ["workers_find_this"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten frames, of which one has no label that can be read and one pixels that cannot be decoded."""
    root = tmp_path_factory.mktemp("raw") / "gta5"
    raw_sets.gta5(root, 10)
    (root / "labels/00004.png").write_bytes(b"no label")
    path = root / "images/00008.png"
    data = path.read_bytes()
    path.write_bytes(data[:1000] + bytes(200) + data[1200:])
    Image.fromarray(raw_sets.image(5)).save(root / "images/00005.png", exif=_turned())
    return root


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Two frames a shard, three headers a task."""
    monkeypatch.setattr(shards, "SHARD_FRAMES", 2)
    monkeypatch.setattr(on_beam, "CHECKED_AT_ONCE", 3)


@pytest.fixture(scope="module")
def expected(root, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_FRAMES", 2)
        prepared = convert.prepare(gta5.find(root, test_frames=3), output=output, name="a", on_error="skip")
    assert len(prepared.rejected) == 2 and len(prepared.notices) == 1
    return prepared, _content(output / "a")


def _content(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


@pytest.mark.parametrize("runner", [ONE, TWO], ids=["one", "two"])
def test_the_same_bytes(root, expected, tmp_path, runner):
    said = []
    prepared = convert.prepare(
        gta5.find(root, test_frames=3),
        output=tmp_path,
        name="a",
        on_error="skip",
        runner=runner,
        progress=lambda *state: said.append(state),
    )
    wanted, content = expected
    assert _content(tmp_path / "a") == content
    assert (prepared.rejected, prepared.notices) == (wanted.rejected, wanted.notices)
    assert ("checking", 10, 10) in said and ("converting", 9, 9) in said


def test_a_worker_that_dies_with_half_a_shard(root, expected, tmp_path, workers_find_this):
    raw = gta5.find(root, test_frames=3)
    raw = dataclasses.replace(raw, labels=DeadlyLabels(raw.labels, tmp_path / "died"))
    prepared = convert.prepare(raw, output=tmp_path, name="a", on_error="skip", runner=TWO)
    assert (tmp_path / "died").exists()
    assert _content(tmp_path / "a") == expected[1]
    assert prepared.rejected == expected[0].rejected


def test_it_goes_on_where_it_stopped_and_lists_every_bad_frame(root, expected, tmp_path):
    raw = gta5.find(root, test_frames=3)
    with pytest.raises(MsdaError, match="1 frame cannot be used, first .*00004.png"):
        convert.prepare(raw, output=tmp_path, name="a", runner=ONE)
    shorter = dataclasses.replace(raw, known_bad=frozenset({"images/00004.png"}))
    with pytest.raises(MsdaError, match="1 frame cannot be used, first .*00008.png"):
        convert.prepare(shorter, output=tmp_path, name="a", runner=ONE)
    # Begun on Beam, ended on one machine: the shards without bad frames were there.
    prepared = convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    assert prepared.reused == 5
    assert _content(tmp_path / "a") == expected[1]
    with pytest.raises(UsageError, match="was prepared with test_frames = 3, now 2"):
        convert.prepare(gta5.find(root, test_frames=2), output=tmp_path, name="a", on_error="skip", runner=ONE)
