"""`msda-tf demo`: the whole job on generated data, through the commands that anyone would type."""

import pathlib
import time

import click

from msda_tf.config.branches import MAX_MERGE
from msda_tf.errors import MsdaError
from msda_tf.evaluation import metrics
from msda_tf.runs.directory import RunDirectory
from msda_tf.training import log

from . import options
from .terminal import command_line, say


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--output",
    type=options.Path(),
    default="demo",
    show_default=True,
    help="Folder for everything.",
)
@click.option("--target", type=click.Choice(["gta5", "synthia", "cityscapes"]), default="cityscapes", show_default=True)
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Training steps of each network.")
@click.option("--train-frames", type=click.IntRange(1), default=160, show_default=True, help="Images of each data set.")
@click.option("--test-frames", type=click.IntRange(1), default=24, show_default=True, help="Images that are scored.")
def command(output, target, steps, train_frames, test_frames):
    """The whole job on generated miniature data: prepare, train, evaluate, predict, export, report.

    Takes less than 10 minutes on two CPU cores and downloads nothing. Started again, it goes on where it stopped.
    """
    began = time.monotonic()
    data, run, predictions, export = output / "data", output / "run", output / "predictions", output / "export"
    _run(
        "prepare",
        "--dataset",
        "miniature",
        "--output",
        data,
        "--train-frames",
        train_frames,
        "--test-frames",
        test_frames,
    )
    _run("train", "--data", data, "--target", target, "--steps", steps, "--run", run)
    _run("evaluate", "--run", run, "--pictures", 3)
    _run("predict", "--run", run, "--input", _raw_images(data, target), "--output", predictions)
    if not (export / "1").is_dir():
        _run("export", "--run", run, "--output", export)
    _run("report", "--run", run, "--output", output / "report.html")
    _summarize(output, run, target, began)


def _run(*arguments) -> None:
    """Runs a command of ours in this process, as if it had been typed."""
    from .main import cli

    words = [str(word) for word in arguments]
    say()
    say(f"$ {command_line('msda-tf', *arguments)}", bold=True)
    cli.main(args=words, prog_name="msda-tf", standalone_mode=False)


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
    path, name = paths.network("sources").log, f"miou/{metrics.MAX_MERGE}"
    for row in log.read(path):
        if row.step == 0 and row.values.get(name) is not None:
            return row.values[name]
    raise MsdaError(f"{path} lacks the score of the untrained network")
