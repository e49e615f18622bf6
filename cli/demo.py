"""`msda-tf demo`: the whole job on generated data, through the commands that anyone would type."""

import pathlib
import shutil
import textwrap
import time

import click

from msda_tf.config import PAPER_DATASETS as TARGETS
from msda_tf.config.branches import MAX_MERGE
from msda_tf.errors import MsdaError
from msda_tf.evaluation import metrics
from msda_tf.runs.directory import RunDirectory
from msda_tf.training import log

from . import options, pictures
from .terminal import command_line, say


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--output",
    type=options.Path(),
    default="demo",
    show_default=True,
    help="Folder for everything.",
)
@click.option("--target", type=click.Choice(TARGETS), default="cityscapes", show_default=True)
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Training steps of each network.")
@click.option("--train-frames", type=click.IntRange(1), default=160, show_default=True, help="Images of each data set.")
@click.option("--test-frames", type=click.IntRange(1), default=24, show_default=True, help="Images that are scored.")
@click.option("--full", is_flag=True, help="Also the paper's whole row with three seeds, which takes an hour or two.")
def command(output, target, steps, train_frames, test_frames, full):
    """The whole job on generated miniature data: prepare, train, evaluate, predict, export, report.

    Takes about five minutes on two CPU cores and downloads nothing. Started again, it goes on where it stopped.

    \b
    msda-tf demo
    msda-tf demo --target gta5 --output demo-gta5
    msda-tf demo --full
    """
    began = time.monotonic()
    data, run, predictions, export = output / "data", output / "run", output / "predictions", output / "export"
    sources = [name for name in TARGETS if name != target]
    _explain(
        1,
        "Draw three small data sets of street scenes and convert them",
        "as gta5, synthia and cityscapes would be. Each has its own light, colours and camera: that gap is what "
        f"adaptation is for. To see it: msda-tf inspect {data}/gta5",
    )
    frames = ["--train-frames", train_frames, "--test-frames", test_frames]
    _run("prepare", "--dataset", "miniature", "--output", data, *frames)
    _explain(
        2,
        f"Train on the labels of {sources[0]} and {sources[1]}, and on the bare images of {target}",
        "two networks, one after the other: one with a branch for each source (S1, S2), one that learns from both at "
        "once (S-All). Look at mIoU: it starts near chance; the target's labels by which it is measured are never "
        "learned from.",
    )
    _run("train", "--data", data, "--target", target, "--steps", steps, "--run", run)
    _explain(
        3,
        f"Score each branch on the test images of {target}",
        "Max Merge weighs the branches by how they did on images of the other source; Max Logit, the paper's, takes "
        "the surest one at every pixel. Large classes (road, sky, building) come first in so short a training; rare "
        "ones stay near 0.",
    )
    _run("evaluate", "--run", run, "--pictures", 3)
    _show(RunDirectory(run).pictures)
    _explain(
        4, "Segment images as they come from a camera", "label maps, colours and overlays, a file of each an image."
    )
    _run("predict", "--run", run, "--input", _raw_images(data, target), "--output", predictions)
    _explain(
        5, "Export what TensorFlow Serving serves", "resizing, mean and merge are inside: images in, label maps out."
    )
    if not (export / "1").is_dir():
        _run("export", "--run", run, "--output", export)
    _explain(6, "Put all of it on one page", "scores by class, curves, and images beside their labels.")
    _run("report", "--run", run, "--output", output / "report.html")
    _summarize(output, run, target, began)
    if full:
        _explain(
            7,
            "The paper's row, with three seeds",
            "No Adapt, S1, S2, S-All, Max Merge and the oracle, as mean ± spread.",
        )
        table = ["--data", output / "data-full", "--output", output / "row"]
        _run("experiment", "--grid", "miniature", "--target", target, "--seeds", 3, *table)


def _explain(step: int, title: str, text: str) -> None:
    say()
    say(f"{step}. {title}", bold=True, fg="cyan")
    for line in textwrap.wrap(text, min(100, shutil.get_terminal_size().columns - 3)):
        say(f"   {line}")


def _run(*arguments) -> None:
    """Runs a command of ours in this process, as if it had been typed."""
    from .main import cli

    words = [str(word) for word in arguments]
    say(f"$ {command_line('msda-tf', *arguments)}", bold=True)
    cli.main(args=words, prog_name="msda-tf", standalone_mode=False)


def _show(folder: pathlib.Path) -> None:
    """The first panel on the terminal, where that can be; else where it lies."""
    panel = min(folder.glob("*.png"))
    if not pictures.show(panel):
        say(f"Image, truth, branches and their merge, side by side: {panel}")


def _raw_images(data: pathlib.Path, target: str) -> pathlib.Path:
    folders = {"gta5": "images", "synthia": "RGB", "cityscapes": "leftImg8bit/val"}
    return data / "raw" / target / folders[target]


def _summarize(output, run, target, began) -> None:
    paths = RunDirectory(run)
    trained = metrics.read(paths.metrics).scores(MAX_MERGE).miou_all
    untrained = _untrained_score(paths)
    say()
    say("What happened", bold=True)
    say(
        f"Two networks learned {target} from the labels of the other two data sets and its own unlabelled images: mIoU "
        f"{100 * trained:.1f} % (Max Merge, 19 classes), {trained / untrained:.0f} times an untrained network's "
        f"{100 * untrained:.1f} %."
    )
    minutes = (time.monotonic() - began) / 60
    say(f"All of it took {minutes:.1f} minutes. It wrote:")
    rows = {
        "data sets (raw, and prepared)": output / "data",
        "run: checkpoints, TensorBoard curves": run,
        "scores": paths.metrics,
        "panels: image, truth, branches, merge": paths.pictures,
        "label maps, colours, overlays": output / "predictions",
        "SavedModel for TF Serving": output / "export" / "1",
        "report: all of this as one page": output / "report.html",
    }
    for what, path in rows.items():
        say(f"  {what:<40}{path}")
    if trained < 3 * untrained:
        raise MsdaError(
            "the network hardly learned: this is not expected of the demo's own settings (were --steps lowered?)"
        )
    say()
    say(f"Open {output / 'report.html'} in a browser first. Then your own data: msda-tf prepare --help")


def _untrained_score(paths: RunDirectory) -> float:
    """mIoU of the first network before its first step, on the images that training is watched on."""
    path, name = paths.network("sources").log, f"miou/{MAX_MERGE}"
    for row in log.read(path):
        if row.step == 0 and row.values.get(name) is not None:
            return row.values[name]
    raise MsdaError(f"{path} lacks the score of the untrained network")
