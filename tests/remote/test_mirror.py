"""A folder elsewhere and its copy here: whatever happens to whoever sends, nobody takes half of it for whole."""

import hashlib
import json
import os
import shutil
import threading

import pytest

from msda_tf import files, lock
from msda_tf.errors import MsdaError
from msda_tf.remote import cache, filesystem
from msda_tf.runs import elsewhere
from msda_tf.training import checkpoint_files, progress
from msda_tf.training.folder import TrainingFolder

pytest.importorskip("apache_beam", reason="needs the extra beam")

from apache_beam.io.filesystem import FileMetadata  # noqa: E402 (where it is installed)
from apache_beam.io.filesystems import FileSystems  # noqa: E402

URL = "shelf://runs/adapted"


class Died(BaseException):
    """The machine is gone."""


@pytest.fixture
def there(tmp_path, monkeypatch):
    """The folder that stands for URL."""
    monkeypatch.setenv("SHELF", str(tmp_path / "shelf"))
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "a"))
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power cuts here
    filesystem.connect(["--beam_plugins=shelf"])
    return tmp_path / "shelf/runs/adapted"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Gives the run's mirror on a machine of a name, which has brought what there is."""

    def on(name, choose=None):
        monkeypatch.setenv(cache.VARIABLE, str(tmp_path / name))
        found = elsewhere.mirror(URL)
        found.bring(choose or elsewhere.to_go_on(URL))
        return found

    return on


def checkpoint(run, step, best=None, text="weights"):
    """Writes what training writes at a step: the checkpoint, then the note of it, and removes the oldest of two."""
    folder = TrainingFolder(run / "networks/sources")
    path = checkpoint_files.folder(folder.checkpoints, step)
    path.mkdir(parents=True)
    hashes = {}
    for name in ("weights.data-00000-of-00001", "weights.index"):
        data = f"{text} {name} of {step}".encode()
        (path / name).write_bytes(data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    info = {"step": step, "files": hashes, "state": {}, "best": best}
    (path / checkpoint_files.INFO).write_text(json.dumps(info))
    progress.note(folder, step)
    for old in checkpoint_files.steps(folder.checkpoints)[:-2]:
        if old != best:
            shutil.rmtree(checkpoint_files.folder(folder.checkpoints, old))
    with open(folder.log, "a") as file:
        file.write(json.dumps({"step": step}) + "\n")


def begin(run, name):
    """Writes a run without checkpoints."""
    shutil.rmtree(run / "networks", ignore_errors=True)
    (run / "networks/sources").mkdir(parents=True)
    progress.note(TrainingFolder(run / "networks/sources"), 0)
    (run / "config.yaml").write_text(name)
    (run / "run.json").write_text(json.dumps(name))


def content(folder):
    """Of all files but what a sender that died left half-written."""
    found = [path for path in folder.rglob("*") if path.is_file() and not files.is_left_over(path)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_run_comes_and_goes(there, machine):
    here = machine("a")
    begin(here.place.here, "first")
    (here.place.here / ".lock").touch()
    for step in (1, 2, 3):
        checkpoint(here.place.here, step, best=1)
        here.sync()
    assert content(there) == {k: v for k, v in content(here.place.here).items() if k != ".lock"}
    assert checkpoint_files.steps(there / "networks/sources/checkpoints") == [1, 2, 3]

    other = machine("b")
    assert content(other.place.here) == content(there)
    checkpoint(other.place.here, 4, best=2)
    other.sync()
    assert checkpoint_files.steps(there / "networks/sources/checkpoints") == [2, 3, 4]
    here = machine("a")
    assert {k: v for k, v in content(here.place.here).items() if k != ".lock"} == content(there)


@pytest.mark.parametrize("anew", [False, True], ids=["goes on", "anew"])
def test_whoever_sends_may_die_at_any_file(there, machine, monkeypatch, anew):
    """Before each operation: another machine then finds whole checkpoints of one run, and the sender goes on."""
    real = {name: getattr(filesystem, name) for name in ("send", "remove", "listing")}
    deaths = 0
    while True:
        shutil.rmtree(there.parents[1], ignore_errors=True)
        here = machine(f"a{deaths}{anew}")
        begin(here.place.here, "first")
        for step in (1, 2):
            checkpoint(here.place.here, step, best=1)
        here.sync()
        left = deaths

        def counted(action):
            def act(*arguments):
                nonlocal left
                left -= 1
                if left < 0:
                    raise Died
                return real[action](*arguments)

            return act

        if anew:
            here.start_over()
            begin(here.place.here, "second")
            checkpoint(here.place.here, 2, text="others")
        else:
            checkpoint(here.place.here, 3, best=2)
        with monkeypatch.context() as patch:
            for action in real:
                patch.setattr(filesystem, action, counted(action))
            try:
                here.sync()
                break
            except Died:
                deaths += 1
        other = machine("b", lambda names, read: elsewhere.whole(names))
        found = other.place.here / "networks/sources/checkpoints"
        steps = checkpoint_files.steps(found)
        if (other.place.here / "run.json").exists():
            name = json.loads((other.place.here / "run.json").read_text())
            assert (other.place.here / "config.yaml").read_text() == name
            texts = {path.read_text().split()[0] for path in found.glob("*/weights.index")}
            assert texts <= {"weights" if name == "first" else "others"}
        assert [checkpoint_files.damage(checkpoint_files.folder(found, step)) for step in steps] == [None] * len(steps)
        if not anew:
            assert steps[-1] in (2, 3) and (other.place.here / "run.json").exists()
        # The same machine, started again.
        again = machine(f"a{deaths - 1}{anew}")
        again.sync()
        assert content(there) == content(again.place.here)
        assert checkpoint_files.steps(there / "networks/sources/checkpoints") == ([2] if anew else [2, 3])
    assert deaths > 5


def test_a_copy_that_is_taken_away_takes_nothing_with_it(there, machine):
    here = machine("a")
    begin(here.place.here, "first")
    checkpoint(here.place.here, 1)
    here.sync()
    before = content(there)
    for folder in ("networks/sources/checkpoints", "networks/sources", "networks", "."):
        shutil.rmtree(here.place.here / folder)
        here.sync()
        assert content(there) == before
        here = machine("a")
        assert content(here.place.here) == before


def test_what_dead_senders_left_goes_when_it_is_old(there, machine):
    here = machine("a")
    begin(here.place.here, "first")
    there.mkdir(parents=True)
    for name in (".old.json.1.part", ".new.json.1.part"):
        (there / name).touch()
    os.utime(there / ".old.json.1.part", (1, 1))
    here.sync()
    assert sorted(path.name for path in there.glob(".*")) == [".new.json.1.part"]


def test_what_is_not_known_to_be_there_is_looked_at(there, machine, monkeypatch):
    """A sender that died before it saw what it had sent; meanwhile another went on, with files of the same sizes."""
    here = machine("a")
    begin(here.place.here, "first")
    checkpoint(here.place.here, 1)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(filesystem, "listing", lambda url: (_ for _ in ()).throw(Died))
        here.sync()
    other = machine("b")
    checkpoint(other.place.here, 2)
    other.sync()
    assert content(machine("a").place.here) == content(there) == content(other.place.here)


def test_two_machines_that_went_on_by_themselves(there, machine):
    here = machine("a")
    begin(here.place.here, "first")
    here.sync()
    other = machine("b")
    checkpoint(other.place.here, 1)
    other.sync()
    checkpoint(here.place.here, 2)
    with pytest.raises(MsdaError, match="was changed elsewhere, and .*holds what was not sent there: take that folder"):
        machine("a")
    shutil.rmtree(here.place.here.parent)
    assert content(machine("a").place.here) == content(there)


def test_for_use_come_the_newest_checkpoint_and_the_best(there, machine):
    here = machine("a")
    begin(here.place.here, "first")
    for step in (1, 2, 3):
        checkpoint(here.place.here, step, best=1)
    (here.place.here / "networks/sources/events.out.tfevents.1").touch()
    here.sync()
    half = there / "networks/sources/checkpoints/step-00000004/weights.index"
    half.parent.mkdir()
    half.touch()
    used = machine("b", elsewhere.to_use).place.here
    assert checkpoint_files.steps(used / "networks/sources/checkpoints") == [1, 3]
    assert not list(used.rglob("*events*")) and not list(used.rglob("step-00000004"))
    whole = machine("b").place.here
    assert checkpoint_files.steps(whole / "networks/sources/checkpoints") == [1, 2, 3]


def test_one_process_at_a_time_brings_and_sends(there, machine):
    here = machine("a")
    begin(here.place.here, "first")
    here.sync()
    told, held = [], threading.Event()

    def holding():
        with lock.hold(here.place.here.parent, "msda-tf"):
            held.set()
            while not told:
                threading.Event().wait(0.01)

    holder = threading.Thread(target=holding)
    holder.start()
    held.wait()
    elsewhere.mirror(URL, on_wait=told.append).bring()
    holder.join()
    assert len(told) == 1 and "msda-tf, process" in told[0]


def test_names_that_no_folder_here_can_have(there, machine):
    there.mkdir(parents=True)
    with pytest.raises(MsdaError, match="names no folder"):
        filesystem.check("shelf://runs/../../etc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileSystems, "match", lambda patterns: [Listed()])
        with pytest.raises(MsdaError, match="holds a file '../../x', a name that none can have here"):
            machine("a")


class Listed:
    """As Beam lists files: what stands for a folder, and a name that leads out of it."""

    metadata_list = [FileMetadata(f"{URL}/folder/", 0, 1.0), FileMetadata(f"{URL}/../../x", 1, 1.0)]
