"""The lock on folders that are written to."""

import errno
import os
import subprocess
import sys

import filelock
import pytest

from msda_tf import lock
from msda_tf.errors import MsdaError

_HOLDER = """
import sys, time
from msda_tf import lock
with lock.hold(sys.argv[1], "msda-tf train"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["native", "without"])
def locks(request, monkeypatch):
    """Whether the file system has locks."""
    if request.param == "without":

        def acquire(self, *args, **kwargs):
            open(self.lock_file, "a").close()
            raise OSError(errno.ENOTSUP, "Operation not supported")

        monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    return request.param


def test_one_at_a_time_and_nothing_stays(tmp_path, locks):
    with lock.hold(tmp_path, "msda-tf train"):
        with pytest.raises(MsdaError) as refused, lock.hold(tmp_path, "msda-tf prepare"):
            pass
        assert f"{tmp_path} is being written by msda-tf train, process {os.getpid()} on " in str(refused.value)
        assert ("remove" in str(refused.value)) == (locks == "without")
    assert not list(tmp_path.iterdir())
    with lock.hold(tmp_path, "msda-tf prepare"):
        pass


def test_a_planted_link_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("kept")
    (tmp_path / "place").mkdir()
    (tmp_path / "place/.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(MsdaError, match="cannot be written"), lock.hold(tmp_path / "place", "x"):
        pass
    assert (tmp_path / "mine").read_text() == "kept"


def test_of_one_result(tmp_path, locks):
    with lock.hold(tmp_path, "msda-tf report", result="a.html"):
        with lock.hold(tmp_path, "x"), lock.hold(tmp_path, "x", result="b.html"):
            pass
        with pytest.raises(MsdaError, match="a.html is being written by msda-tf report"):
            lock.hold(tmp_path, "x", result="a.html").__enter__()
    assert not list(tmp_path.iterdir())


def test_an_error_inside_lets_go(tmp_path, locks):
    with pytest.raises(KeyError), lock.hold(tmp_path, "msda-tf train"):
        raise KeyError
    with lock.hold(tmp_path, "msda-tf train"):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(MsdaError, match=f"msda-tf train, process {holder.pid} on "), lock.hold(tmp_path, "x"):
        pass
    holder.kill()
    holder.wait()
    assert (tmp_path / lock.FILE_NAME).exists()
    with lock.hold(tmp_path, "x"):
        pass


def test_escape_codes_in_a_planted_note_are_not_shown(tmp_path):
    with lock.hold(tmp_path, "msda-tf train"):
        (tmp_path / lock.FILE_NAME).write_bytes(b"\x1b[31m" + b"x" * 10**6)
        with pytest.raises(MsdaError, match="written by another process:"), lock.hold(tmp_path, "x"):
            pass


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / lock.FILE_NAME).mkdir()
    with pytest.raises(MsdaError, match="cannot be written"), lock.hold(tmp_path, "x"):
        pass
