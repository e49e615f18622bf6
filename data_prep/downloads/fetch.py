"""Fetching a file over HTTP: interrupted, it goes on where it stopped; what arrives is checked, then gets its name."""

import email.message
import hashlib
import http.client
import os
import pathlib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

from msda_tf import __version__, files, state_file
from msda_tf.errors import MsdaError, reason

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, bytes there, and bytes in all (None if the server does not say)."""

_BLOCK = 2**20
_TIMEOUT = 60


def fetch(
    url: str, folder: pathlib.Path, *, checksum: str | None = None, progress: Progress | None = None
) -> pathlib.Path:
    """Fetches a file into a folder, unless it is there.

    A file that is not yet whole is `.<name>.part`, with what tells whether the server's is still the same beside it.

    Args:
      checksum: "sha256:..." or "md5:..."; None: only its size is checked.

    Returns:
      The file.

    Raises:
      MsdaError: the server refuses or breaks off, or the file is not the one that was published.
    """
    known = _known(folder)
    for name, entry in known.items():
        there = folder / name
        if entry["url"] == url and there.is_file() and there.stat().st_size == entry["bytes"]:
            return there
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"
    mark = part.with_suffix(".json")
    try:
        name, digest = _receive(url, part, mark, progress or (lambda name, done, total: None))
    except urllib.error.HTTPError as error:
        raise MsdaError(f"{url}: the server answers {error.code} ({error.reason}): see the data set's page") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        why = getattr(error, "reason", None) or error or type(error).__name__
        raise MsdaError(
            f"{url}: no connection ({why}): run the same command again, it goes on where it stopped"
        ) from None
    except OSError as error:
        raise MsdaError(f"{folder} cannot hold what {url} sends: {reason(error)}") from None
    if checksum:
        kind, expected = checksum.split(":")
        with open(part, "rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != expected.lower():
            part.unlink()
            mark.unlink(missing_ok=True)
            raise MsdaError(
                f"{url}: what arrived has the {kind.upper()} {found}, {expected} is published: damaged on its way or"
                " replaced; run the same command again"
            )
    size = part.stat().st_size
    part.rename(folder / name)
    mark.unlink(missing_ok=True)
    files.write_json(folder / _LIST, known | {name: {"url": url, "bytes": size, "sha256": digest}})
    return folder / name


_LIST = "downloads.json"


def _known(folder: pathlib.Path) -> dict:
    """What was fetched: name -> url, bytes and sha256. Of a damaged list, what can be read."""
    try:
        value = state_file.load(folder / _LIST)
    except (OSError, state_file.Damaged):
        return {}
    return {name: entry for name, entry in value.items() if isinstance(entry, dict) and _is_entry(name, entry)}


def _is_entry(name: str, entry: dict) -> bool:
    plain = pathlib.PurePath(name).name == name and "\0" not in name and len(os.fsencode(name)) < 256
    return plain and isinstance(entry.get("url"), str) and isinstance(entry.get("bytes"), int)


def _receive(url: str, part: pathlib.Path, mark: pathlib.Path, progress: Progress) -> tuple[str, str]:
    """Brings `part` to its full length; the file's name and SHA-256."""
    begun = _begun(part, mark)
    request = urllib.request.Request(url, headers={"User-Agent": f"msda-tf/{__version__}"})
    if begun:
        request.add_header("Range", f"bytes={begun['bytes']}-")
        request.add_header("If-Range", begun["validator"])
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        # Nothing is left to send: everything had arrived when the last process was stopped.
        if begun and error.code == 416 and error.headers.get("Content-Range", "").endswith(f"/{begun['bytes']}"):
            return begun["name"], files.sha256(part)
        raise
    with response:
        name = _name(url, response.headers)
        continued = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = begun["bytes"] if continued else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        files.write_json(mark, {"validator": _validator(response.headers), "name": name})
        with open(part, "ab" if continued else "wb") as file:
            progress(name, done, total)
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                progress(name, done, total)
    if total is not None and done != total:
        raise MsdaError(
            f"{url}: broken off after {done} of {total} bytes: run the same command again, it goes on where it stopped"
        )
    return name, files.sha256(part)


def _begun(part: pathlib.Path, mark: pathlib.Path) -> dict | None:
    """What is there already: bytes, name, and what the server called this version; None if that is of no use."""
    try:
        value = state_file.load(mark)
        validator, name, size = state_file.text(value, "validator"), state_file.text(value, "name"), part.stat().st_size
    except (OSError, state_file.Damaged):
        return None
    if not validator or not size or not validator.isprintable() or name != _plain(name):
        return None
    return {"validator": validator, "name": name, "bytes": size}


def _validator(headers: email.message.Message) -> str:
    tag = headers.get("ETag", "")
    # A weak tag does not promise the same bytes.
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _name(url: str, headers: email.message.Message) -> str:
    """The file's name, from the server or the address; nothing that leads elsewhere."""
    offered = headers.get_filename() or urllib.parse.unquote(urllib.parse.urlsplit(url).path.rstrip("/"))
    return _plain(offered)


def _plain(name: str) -> str:
    """A name without what leads elsewhere, or what no file system takes."""
    last = pathlib.PurePosixPath(name.replace("\\", "/").replace("\0", "")).name.lstrip(".")
    return last[-200:] or "download"
