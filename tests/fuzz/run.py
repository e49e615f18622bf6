"""Fuzzing: `make fuzz`, for FUZZ_SECONDS, or one seed again with FUZZ_SEED.

Every case follows from its seed alone. Its answer must be success or an error of the project's own in one line, within
ten seconds of computing and a gigabyte of memory.

Own mutations and not the package hypothesis: its strategies make values of a type, while these cases start from real
files of the project, several formats deep, and it has no bound for the time of a whole run.
"""

import contextlib
import faulthandler
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass

from fuzz import cases
from fuzz.world import World, make, quietly

from msda_tf.errors import MsdaError, of_system

MOST_SECONDS, MOST_BYTES, HANGS = 10, 10**9, 120


@dataclass(frozen=True)
class Outcome:
    """Of one seed.

    Attributes:
      case: which.
      words: what was answered, in a line.
      fault: what is wrong about it; None if nothing is.
    """

    case: str
    words: str
    fault: str | None


def one(seed: int, world: World, only: str = "") -> Outcome:
    """Runs the case of a seed."""
    rng = random.Random(seed)
    known = {name: found for name, found in cases.ALL.items() if only in ("", name)}
    name = rng.choices([*known], [weight for _, weight in known.values()])[0]
    around = pathlib.Path(tempfile.mkdtemp(prefix=f"fuzz-{seed}-"))
    here = around / "here"
    here.mkdir()
    _forget_peak()
    before, began, fault = _memory("VmRSS"), time.process_time(), None
    faulthandler.dump_traceback_later(HANGS, exit=True)
    cwd = os.getcwd()
    try:
        os.chdir(here)  # for names that mean another folder than a case's own
        code, words = _run(cases.ALL[name][0], rng, world, here)
    except Exception:
        code, words, fault = 1, traceback.format_exc(), "a traceback"
    finally:
        faulthandler.cancel_dump_traceback_later()
        os.chdir(cwd)
    seconds, taken = time.process_time() - began, _memory("VmHWM") - before
    lines = [line for line in words.splitlines() if line.startswith("msda-tf: ")]
    if fault is None and "unexpected" in words and "msda-tf: unexpected" in words:
        fault = "unexpected"
    elif fault is None and code not in (0, 1, 2):
        fault = f"exit code {code}"
    elif fault is None and code and len(lines) != 1:
        fault = f"{len(lines)} lines of errors"
    elif fault is None and any(not (character.isprintable() or character == "\n") for character in words):
        fault = "characters that act on a terminal"
    elif fault is None and code and seconds > MOST_SECONDS:
        fault = f"{seconds:.0f} s before it refuses"
    elif fault is None and code and taken > MOST_BYTES:
        fault = f"{taken / 1e9:.1f} GB before it refuses"
    if fault is None:
        shutil.rmtree(around, ignore_errors=True)
    return Outcome(name, f"exit {code}: {lines[-1] if lines else words}", fault and f"{fault}; files in {here}")


def _run(case, rng, world, here) -> tuple[int, str]:
    try:
        words = case(rng, world, here)
    except MsdaError as error:
        return error.exit_code, f"msda-tf: {error}"
    except OSError as error:
        if error.filename is None:  # the command would show it, but not say of what
            raise
        return 1, f"msda-tf: {of_system(error)}"
    return (0, "") if words is None else quietly(*words)


def _memory(key: str) -> int:
    """Of this process, in bytes; 0 where the system does not say."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _trained(folder: pathlib.Path) -> pathlib.Path:
    """A run as the tests' own."""
    import prepared

    from msda_tf import config as configuration
    from msda_tf import evaluate, train

    for seed, name in enumerate(("gta5", "cityscapes")):
        prepared.write(folder / "data", name, shift=40.0 * seed, seed=seed)
    settings = {"target": "cityscapes", "sources": "gta5", "data": str(folder / "data"), "steps": 2, "layout": "s-all"}
    settings |= {"evaluate_every": 2, "evaluate_images": 1, "aspp_rates": [2, 4]}
    config, _ = configuration.resolve(preset="tiny", settings=settings)
    train.train(config, folder / "run")
    evaluate.evaluate([folder / "run"], limit=1)
    return folder / "run"


def main() -> int:
    """Exit code: 1 if anything was found."""
    seconds, again = float(os.environ.get("FUZZ_SECONDS", 600)), os.environ.get("FUZZ_SEED")
    first = int(again or os.environ.get("FUZZ_FIRST") or time.time())
    only, found, kinds = os.environ.get("FUZZ_CASE", ""), 0, {}
    with tempfile.TemporaryDirectory(prefix="fuzz-world-") as folder:
        folder = pathlib.Path(folder)
        world = make(folder, _trained(folder / "trained"))
        until, seed = time.monotonic() + seconds, first
        while time.monotonic() < until:
            print(f"seed {seed}", end=" ", flush=True)
            outcome = one(seed, world, only)
            words = outcome.words if outcome.fault or again else outcome.words[:160].replace("\n", " ")
            print(f"{outcome.case} {words}", flush=True)
            kinds[outcome.case] = kinds.get(outcome.case, 0) + 1
            if outcome.fault:
                found += 1
                print(f"FOUND by seed {seed} ({outcome.case}): {outcome.fault}", flush=True)
                print(f"  again: make fuzz FUZZ_SEED={seed}{f' FUZZ_CASE={only}' * bool(only)}", flush=True)
            seed += 1
            if again:
                break
    print(f"{seed - first} cases, seeds {first} to {seed - 1}: {found} faults; {kinds}")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
