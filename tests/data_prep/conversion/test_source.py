"""Whether raw files are still the same: corrected ones are noticed, copied ones are not mistaken for others."""

import json
import os

import pytest
import raw_sets
from PIL import Image

from msda_tf.data import manifest as manifests
from msda_tf.data.writing.state import Begun
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.readers import folder, gta5
from msda_tf.errors import UsageError


@pytest.fixture
def prepare(tmp_path):
    """Prepares three frames, again and again."""
    raw_sets.gta5(tmp_path / "raw", 3)
    return lambda **options: convert.prepare(
        gta5.find(tmp_path / "raw", test_frames=1), output=tmp_path, name="a", **options
    )


def _corrected(path):
    """One bit of the pixels is another one; the length is the same."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_corrected_file_of_the_same_size_is_noticed(prepare, tmp_path, kind):
    prepare()
    path = tmp_path / "raw" / kind / "00002.png"
    written = path.stat().st_mtime_ns
    _corrected(path)
    os.utime(path, ns=(written, written + 10**9))
    with pytest.raises(UsageError, match="was prepared from other files than .*raw holds now"):
        prepare()


def test_copied_files_are_the_same(prepare, tmp_path):
    """Other times and the same content: the files are read once more, and nothing has to be done."""
    prepare()
    made = (tmp_path / "a/dataset.json").read_bytes()
    for path in (tmp_path / "raw").rglob("*.png"):
        os.utime(path, ns=(1, 1))
    stages = []
    again = prepare(progress=lambda stage, done, total: stages.append((stage, done, total)))
    assert (again.reused, again.notices) == (2, ())
    assert stages[0] == ("comparing", 0, 3) and stages[-1] == ("comparing", 3, 3)
    assert (tmp_path / "a/dataset.json").read_bytes() == made


def test_a_file_corrected_during_the_conversion_is_noticed_later(prepare, tmp_path):
    path = tmp_path / "raw/labels/00003.png"
    content, written = path.read_bytes(), path.stat().st_mtime_ns

    def meddle(stage, done, total):
        if (stage, done) == ("checking", 3):
            os.utime(path, ns=(written, written + 10**9))

    prepare(progress=meddle)
    assert prepare().reused  # the content that was read is the one that is there
    path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    with pytest.raises(UsageError, match="prepared from other files"):
        prepare()


def test_sets_of_earlier_versions_are_accepted_with_a_word(prepare, tmp_path):
    """They noted names and sizes only."""
    prepare()
    path = tmp_path / "a/dataset.json"
    value = json.loads(path.read_text())
    for key in ("input_times_sha256", "input_content_sha256"):
        del value["options"][key]
    path.write_text(json.dumps(value))
    again = prepare()
    assert again.reused and not again.notices
    label = tmp_path / "raw/labels/00003.png"
    os.utime(label, ns=(1, path.stat().st_mtime_ns + 10**9))
    (notice,) = prepare().notices
    assert notice.startswith("1 raw files were written after") and "--force" in notice
    label.write_bytes(label.read_bytes() + b"more")
    with pytest.raises(UsageError, match="prepared from other files"):
        prepare()


def test_a_damaged_note_is_not_believed(prepare, tmp_path, monkeypatch):
    """Of an interrupted conversion: the shard is written again."""
    monkeypatch.setattr(Begun, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare()
    monkeypatch.undo()
    note = next((tmp_path / "a").glob(".test-*.json"))
    note.write_text(note.read_text().replace('"examples": 1', '"examples": "x"'))
    assert prepare().reused == 1


def test_bad_frames_count_as_content_too(tmp_path):
    """A frame that was left out is repaired: the data set is another one."""
    root = tmp_path / "raw"
    root.mkdir()
    Image.fromarray(raw_sets.image(0)).save(root / "0.png")
    whole = (root / "0.png").read_bytes()
    (root / "1.png").write_bytes(b"?" * len(whole))
    ask = {"output": tmp_path, "name": "a", "on_error": "skip"}
    assert len(convert.prepare(folder.find(root), **ask).rejected) == 1
    assert convert.prepare(folder.find(root), **ask).reused == 1
    (root / "1.png").write_bytes(whole)
    with pytest.raises(UsageError, match="prepared from other files"):
        convert.prepare(folder.find(root), **ask)
    assert manifests.read(tmp_path / "a").options["rejected"] == 1
