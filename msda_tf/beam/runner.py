"""Which of Beam's runners, and with which of its options: refused in words before any work starts."""

import argparse
import difflib
import importlib
import importlib.util
import pathlib
import shutil
from dataclasses import dataclass

from msda_tf.errors import UsageError
from msda_tf.remote.filesystem import quiet
from msda_tf.remote.mirror import Mirror
from msda_tf.remote.place import Place

RUNNERS = ("DirectRunner", "FlinkRunner", "SparkRunner", "PortableRunner")
"""Those whose workers can share folders with this machine."""

DATAFLOW = "DataflowRunner"
"""The one whose workers cannot, so that everything must lie elsewhere."""

_PORTABLE = RUNNERS[1:]

# Beam's classes of options that mean something to certain runners alone; those of all others mean something to all.
_ONLY_FOR = {
    "DirectOptions": ("DirectRunner",),
    "FlinkRunnerOptions": ("FlinkRunner", "PortableRunner"),
    "SparkRunnerOptions": ("SparkRunner", "PortableRunner"),
    "PortableOptions": _PORTABLE,
    "JobServerOptions": _PORTABLE,
    "GoogleCloudOptions": (DATAFLOW,),
    "WorkerOptions": (DATAFLOW,),
    "TestDataflowOptions": (),
    "KafkaStreamsRunnerOptions": (),
    "PrismRunnerOptions": (),
}

# Those by which commands without a runner reach file systems: keys, endpoints, plugins.
_OF_FILE_SYSTEMS = ("S3Options", "AzureOptions", "HadoopFileSystemOptions", "GoogleCloudOptions", "SetupOptions")

_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Runner:
    """A runner that can be asked to work.

    Attributes:
      name: one of `RUNNERS`.
      flags: its options, as Beam's own command line has them.
      places: shadows of folders elsewhere, which workers read from and write to by Beam's file systems.
      mirror: of these, the folder of results.
    """

    name: str
    flags: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    mirror: Mirror | None = None

    def mounted(self, *paths: pathlib.Path) -> tuple[pathlib.Path, ...]:
        """Those of some files and folders that lie nowhere else, so that workers must see them."""
        return tuple(path for path in paths if not any(path.is_relative_to(place.here) for place in self.places))


def choose(name: str, settings: tuple[str, ...] = (), *, elsewhere: bool = False) -> Runner:
    """A runner and its options, checked as far as this machine can tell.

    Args:
      name: one of `RUNNERS`, or `DATAFLOW`.
      settings: "KEY=VALUE", with Beam's names of options; "true" and "false" for switches.
      elsewhere: whether all data lie where workers reach them without sharing a folder.

    Raises:
      UsageError: there is no such runner or option, the option is another runner's, its value is none that it takes, or
        something that the runner needs is not installed.
    """
    if name == DATAFLOW and not elsewhere:
        raise UsageError(
            f"--runner {DATAFLOW}: Dataflow's workers share no folder with this machine: data, results and run must "
            f"lie on gs://. With folders that all machines mount, use one of {', '.join(RUNNERS)}"
        )
    if name not in (*RUNNERS, DATAFLOW):
        near = difflib.get_close_matches(name.lower(), [known.lower() for known in RUNNERS], n=1)
        guess = "".join(f": did you mean {known}?" for known in RUNNERS if known.lower() in near)
        raise UsageError(f"--runner {name} is not one of {', '.join(RUNNERS)}{guess}")
    if importlib.util.find_spec("apache_beam") is None:
        raise UsageError(f"--runner {name} needs Apache Beam, which is not installed: pip install 'msda-tf[beam]'")
    if name == DATAFLOW and importlib.util.find_spec("apitools") is None:
        raise UsageError(
            f"--runner {name} needs Google's packages, which are not installed: pip install 'apache-beam[gcp]'"
        )
    known = _options()
    given = [_parsed(setting) for setting in settings]
    flags = tuple(flag for key, value in given for flag in _flags(name, key, value, known))
    _check_java(name, dict(given))
    return Runner(name, flags)


def file_systems(settings: tuple[str, ...]) -> tuple[str, ...]:
    """Flags with which Beam's file systems are reached where no runner works.

    Args:
      settings: as of `choose`.

    Raises:
      UsageError: as `choose`, or an option is of no file system.
    """
    known = _options()
    flags = []
    for key, value in map(_parsed, settings):
        if key in known and known[key][0] not in _OF_FILE_SYSTEMS:
            raise UsageError(f"--beam-option {key} is no option of a file system: leave it out without --runner")
        flags += _flags(None, key, value, known)
    return tuple(flags)


def _parsed(setting: str) -> tuple[str, str]:
    key, equals, value = setting.partition("=")
    if not (key and equals):
        raise UsageError(f"--beam-option {setting}: expected KEY=VALUE, such as direct_num_workers=4")
    return key, value


def _flags(runner: str | None, key: str, value: str, known: dict[str, tuple[str, dict]]) -> list[str]:
    """One option as Beam's command line takes it; without a runner, of whatever class."""
    if key == "runner":
        raise UsageError("--beam-option runner=...: name the runner with --runner")
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        guess = f": did you mean {near[0]}?" if near else ": Beam's documentation of pipeline options lists them"
        raise UsageError(f"--beam-option {key}: Apache Beam has no option of that name{guess}")
    group, how = known[key]
    if runner is not None and runner not in _ONLY_FOR.get(group, (*RUNNERS, DATAFLOW)):
        whose = " and ".join(_ONLY_FOR[group]) or "runners that msda-tf does not use"
        raise UsageError(f"--beam-option {key} is an option of {whose}: leave it out with --runner {runner}")
    if how.get("action") in ("store_true", "store_false"):
        if value.lower() not in _TRUTH:
            raise UsageError(f"--beam-option {key}={value}: expected true or false")
        return [f"--{key}"] if _TRUTH[value.lower()] else []
    try:
        parsed = how.get("type", str)(value)
    except (ValueError, TypeError, argparse.ArgumentTypeError):
        kind = getattr(how["type"], "__name__", "value")
        raise UsageError(f"--beam-option {key}={value}: expected {'a number' if kind == 'int' else kind}") from None
    if how.get("choices") and parsed not in how["choices"]:
        raise UsageError(f"--beam-option {key}={value}: expected one of {', '.join(map(str, how['choices']))}")
    return [f"--{key}={value}"]


class _Recorder:
    """Stands for the parser that Beam's classes add their options to."""

    def __init__(self):
        self.found: dict[str, dict] = {}

    def add_argument(self, *names, **how):
        """As `argparse.ArgumentParser` has it."""
        for name in names:
            self.found[name.lstrip("-")] = how

    add_value_provider_argument = add_argument


def _options() -> dict[str, tuple[str, dict]]:
    """Every option that Beam has: name -> (class that it belongs to, how it is parsed)."""
    with quiet():
        module = importlib.import_module("apache_beam.options.pipeline_options")
    known = {}
    for group in module.PipelineOptions.__subclasses__():
        if group.__module__ == module.__name__:
            recorder = _Recorder()
            group._add_argparse_args(recorder)  # Beam's documented hook for options
            known |= {name: (group.__name__, how) for name, how in recorder.found.items()}
    return known


def _check_java(name: str, given: dict[str, str]) -> None:
    """Flink's and Spark's runners start a job server in Java, unless one is running or the cluster takes a jar."""
    kind = name.removesuffix("Runner").lower()
    if kind not in ("flink", "spark") or "job_endpoint" in given:
        return
    jar = given.get(f"{kind}_job_server_jar")
    if jar and "://" not in jar and not pathlib.Path(jar).is_file():
        raise UsageError(f"--beam-option {kind}_job_server_jar={jar}: there is no such file")
    if given.get(f"{kind}_submit_uber_jar", "").lower() != "true" and shutil.which("java") is None:
        raise UsageError(
            f"--runner {name} starts Beam's job server, which needs Java: install a JRE of 11 or newer, or name a job "
            "server that is running with --beam-option job_endpoint=HOST:PORT"
        )
