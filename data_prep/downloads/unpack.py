"""Unpacking an archive: whole or not at all, nothing outside its folder, no links, and only where there is room."""

import errno
import lzma
import os
import pathlib
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from msda_tf import files
from msda_tf.errors import MsdaError, reason

# NotImplementedError: a compression that Python lacks; RuntimeError: a password is asked for; ValueError: a name that
# is no text, or a number that is none; IndexError: an empty name.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError),
)

Progress = Callable[[str, int, int], None]
"""Called with the archive's name, files unpacked, and files in all."""


def unpack(archive: pathlib.Path, folder: pathlib.Path, *, progress: Progress | None = None) -> int | None:
    """Unpacks a ZIP or TAR archive, unless that was done before.

    The files are written to a hidden folder and moved when all are there; a note beside the archive then says so.

    Returns:
      Number of files; None if the archive is of another kind, which is left alone.

    Raises:
      MsdaError: the archive is damaged or unsafe, or the disk is too full.
    """
    mark = archive.with_name(f".{archive.name}.unpacked.json")
    print_of_archive = {"bytes": archive.stat().st_size, "into": str(folder.resolve())}
    if (done := _read(mark)) and done | print_of_archive == done:
        return done["files"]
    report = progress or (lambda name, done, total: None)
    temporary = folder / f".{archive.name}.unpacking"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            count = _unzip(archive, temporary, report)
        elif tarfile.is_tarfile(archive):
            count = _untar(archive, temporary, report)
        else:
            return None
        _move(temporary, folder)
    except _DAMAGED as error:
        raise MsdaError(f"{archive} is damaged ({error}): delete it and fetch it again") from None
    except OSError as error:
        # A place inside the archive that does not exist; what has a name is the disk's.
        if error.filename is None and error.errno in (None, errno.EINVAL):
            raise MsdaError(f"{archive} is damaged ({error}): delete it and fetch it again") from None
        raise MsdaError(f"{archive} cannot be unpacked to {folder}: {reason(error)}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    files.write_json(mark, print_of_archive | {"files": count})
    return count


def _read(mark: pathlib.Path) -> dict | None:
    try:
        value = files.read_json(mark)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("files"), int) else None


def _unzip(archive: pathlib.Path, folder: pathlib.Path, report: Progress) -> int:
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        for member in members:
            link = member.external_attr >> 16 & 0o170000 == 0o120000
            _refuse_unsafe(archive, member.filename, plain=not link)
        _check_room(archive, folder, sum(member.file_size for member in members))
        for number, member in enumerate(members, start=1):
            opened.extract(member, folder)  # checks the member's CRC
            report(archive.name, number, len(members))
    return len(members)


def _untar(archive: pathlib.Path, folder: pathlib.Path, report: Progress) -> int:
    with tarfile.open(archive) as opened:
        members = [member for member in opened if not member.isdir()]
        for member in members:
            _refuse_unsafe(archive, member.name, plain=member.isfile())
        _check_room(archive, folder, sum(member.size for member in members))
        for number, member in enumerate(members, start=1):
            opened.extract(member, folder, filter="data")
            report(archive.name, number, len(members))
    return len(members)


def _refuse_unsafe(archive: pathlib.Path, name: str, *, plain: bool) -> None:
    parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
    if not plain or not parts or ".." in parts or parts[0].startswith("/") or parts[0].endswith(":"):
        raise MsdaError(f"{archive} holds {name!r}, a link or a path out of its folder: it is not unpacked")


def _check_room(archive: pathlib.Path, folder: pathlib.Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise MsdaError(
            f"{archive} needs {needed / 1e9:.1f} GB when unpacked, but the disk of {folder.parent} has only"
            f" {free / 1e9:.1f} GB free: name another --output"
        )


def _move(temporary: pathlib.Path, folder: pathlib.Path) -> None:
    """Moves files to where they belong, among others that may be there."""
    for parent, _, names in os.walk(temporary):
        target = folder / pathlib.Path(parent).relative_to(temporary)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.replace(os.path.join(parent, name), target / name)
