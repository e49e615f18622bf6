"""A file system of Beam for tests, shelf://: like an object store, and its files lie in the folder $SHELF."""

import os
import pathlib

from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

SCHEME = "shelf://"


def _path(url: str) -> str:
    assert url.startswith(SCHEME)
    return os.path.join(os.environ["SHELF"], url.removeprefix(SCHEME))


class Shelf(LocalFileSystem):
    """Names with slashes, but no folders; all of its files below a prefix are listed."""

    @classmethod
    def scheme(cls):
        return "shelf"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def has_dirs(self):
        return False

    def mkdirs(self, path):
        raise OSError("no folders here")

    def _list(self, dir_or_prefix):
        if dir_or_prefix.startswith(f"{SCHEME}locked"):
            raise BeamIOError("List operation failed", {dir_or_prefix: PermissionError("not allowed")})
        root = pathlib.Path(os.environ["SHELF"])
        for path in sorted(root.rglob("*")):
            url = SCHEME + path.relative_to(root).as_posix()
            if path.is_file() and url.startswith(dir_or_prefix):
                yield FileMetadata(url, path.stat().st_size, path.stat().st_mtime)

    def create(self, path, *arguments, **how):
        os.makedirs(os.path.dirname(_path(path)), exist_ok=True)
        return super().create(_path(path), *arguments, **how)

    def open(self, path, *arguments, **how):
        return super().open(_path(path), *arguments, **how)

    def rename(self, source_file_names, destination_file_names):
        super().rename([*map(_path, source_file_names)], [*map(_path, destination_file_names)])

    def exists(self, path):
        return os.path.isfile(_path(path))

    def size(self, path):
        return os.path.getsize(_path(path))

    def last_updated(self, path):
        return os.path.getmtime(_path(path))

    def metadata(self, path):
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths):
        for path in paths:
            pathlib.Path(_path(path)).unlink()
