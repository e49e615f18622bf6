"""What an output folder holds already, and whether it may be gone on with."""

import pathlib
import re
from collections.abc import Callable

from msda_tf import files
from msda_tf.data import manifest as manifests
from msda_tf.data.manifest import Manifest
from msda_tf.errors import UsageError

_BEGUN = ".prepare.json"
_SHARD = re.compile(r"\w+-\d{5}-of-\d{5}\.tfrecord")
_NOTE = re.compile(r"\.(\w+-\d{5}-of-\d{5}\.tfrecord)\.json")
_COUNTS = re.compile(r"\.?class_counts\b.*\.npy")
_HALF_WRITTEN = re.compile(r"\..+\.\d+\.part")  # by msda_tf.files.replacing, in a process that was killed

# In dataset.json beside the options.
_ORIGIN = {
    *("raw", "input_sha256", "input_times_sha256", "input_content_sha256"),
    *("sizes", "excluded", "rejected"),
}


class Begun:
    """An output folder, seen from a conversion with given options.

    Attributes:
      directory: the folder.
      options: those of the conversion (`options_of`).
      root: the folder of what is to be converted.
      same_input: of the options in dataset.json, tells whether it was made from what is to be converted now.
      origin: what `root` is called in dataset.json, if not by its whole path.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        options: dict,
        *,
        root: pathlib.Path,
        same_input: Callable[[dict], bool],
        origin: str | None = None,
    ):
        self.directory, self.options, self.root, self.same_input = directory, options, root, same_input
        self.origin = origin or str(root.resolve())

    def finished(self) -> Manifest | None:
        """The manifest if the folder is finished with the same options and input; None if it is not finished.

        Raises:
          UsageError: it is finished, but from something else.
        """
        if not (self.directory / manifests.FILE_NAME).exists():
            return None
        manifest = manifests.read(self.directory)
        self._compare(manifest.options, "was prepared")
        if not self.same_input(manifest.options):
            raise UsageError(
                f"{self.directory} was prepared from other files than {self.root} holds now: choose another "
                "--name or --output, or start over with --force"
            )
        self._tidy(manifest)
        return manifest

    def check_same_options(self) -> None:
        """Raises UsageError if the folder was begun with other options, or holds shards of unknown origin."""
        path = self.directory / _BEGUN
        if path.exists():
            try:
                options = files.read_json(path)
            except (OSError, ValueError):
                options = {}
            self._compare(options if isinstance(options, dict) else {}, "was begun")
        elif any(_SHARD.fullmatch(file.name) for file in self.directory.iterdir()):
            raise UsageError(
                f"{self.directory} holds shards of unknown origin (neither {manifests.FILE_NAME} nor {_BEGUN} is "
                "there): choose another --name or --output, or throw them away with --force"
            )

    def _compare(self, earlier: dict, how: str) -> None:
        for key in dict.fromkeys([*self.options, *(key for key in earlier if key not in _ORIGIN)]):
            before, now = earlier.get(key), self.options.get(key)
            if before != now:
                short = max(len(str(before)), len(str(now))) < 60
                difference = f"{key} = {before}, now {now} is asked for" if short else f"other {key} than now"
                raise UsageError(
                    f"{self.directory} {how} with {difference}: choose another --name or --output, or start over "
                    "with --force"
                )

    def start(self, shard_files: set[str]) -> None:
        """Marks the folder as begun, and removes what belongs to none of the shards to be written."""
        files.write_json(self.directory / _BEGUN, self.options)
        self._remove(lambda file, shard: shard and shard not in shard_files)

    def finish(self, manifest: Manifest) -> None:
        """Writes dataset.json; only then removes what was needed until then, and shards that turned out empty."""
        manifests.write(manifest, self.directory)
        self._tidy(manifest)

    def _tidy(self, manifest: Manifest) -> None:
        (self.directory / _BEGUN).unlink(missing_ok=True)
        listed = {shard.file for split in manifest.splits.values() for shard in split.shards}
        self._remove(lambda file, shard: shard and file.name not in listed)

    def clear(self) -> None:
        """Removes everything that an earlier conversion wrote here; dataset.json first."""
        (self.directory / manifests.FILE_NAME).unlink(missing_ok=True)
        (self.directory / _BEGUN).unlink(missing_ok=True)
        self._remove(lambda file, shard: shard or _COUNTS.fullmatch(file.name))

    def _remove(self, unwanted: Callable[[pathlib.Path, str | None], bool]) -> None:
        """Removes half-written files, and others by `unwanted(file, shard that it is or belongs to)`."""
        for file in list(self.directory.iterdir()):
            note = _NOTE.fullmatch(file.name)
            shard = note[1] if note else file.name if _SHARD.fullmatch(file.name) else None
            if _HALF_WRITTEN.fullmatch(file.name) or unwanted(file, shard):
                file.unlink()


def describe(
    begun: Begun, *, origin: dict[str, str], sizes: dict[str, int], rejected: int, excluded: list[str]
) -> dict:
    """The options and what came of them, for dataset.json.

    Args:
      begun: the folder.
      origin: checksums by which `same_input` knows the input again.
      sizes: "<width>x<height>" -> number of images.
      rejected: number of bad frames that were left out.
      excluded: names of frames that were left out as they are known to be bad.
    """
    return {
        **begun.options,
        "raw": begun.origin,
        **origin,
        "sizes": sizes,
        "excluded": excluded,
        "rejected": rejected,
    }
