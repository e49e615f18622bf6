"""`msda-tf predict`."""

import pathlib

import click

from msda_tf import files
from msda_tf.errors import MsdaError, UsageError
from msda_tf.prediction.results import DEFAULT_KINDS, KINDS, SHOWN

from . import elsewhere, options, quiet, terminal
from .progress import counting
from .terminal import say


@click.command(context_settings={"max_content_width": 110})
@options.runs
@click.option(
    "--input",
    "source",
    required=True,
    type=options.Folder(with_runner=True),
    help="Image (PNG or JPEG), folder of images with sub-folders, or video.",
)
@click.option("--output", required=True, type=options.Folder(with_runner=True), help="Folder to write to.")
@click.option(
    "--outputs",
    "kinds",
    type=options.Names(),
    help=f"Which results to write, of {', '.join(KINDS)}.  [default: {', '.join(DEFAULT_KINDS)}]",
)
@click.option(
    "--submission", type=click.Choice(["cityscapes"]), help="Write labelIds for the benchmark's server instead."
)
@click.option("--tta", type=click.Choice(["flip"]), help="Average over the image and its mirror image; twice the time.")
@click.option("--resume", is_flag=True, help="Leave images alone whose results are there.")
@options.max_pixels
@options.runner
@options.beam_options
@options.merge
@options.branches
@options.mean_of
@options.select
@options.serve
@options.window
@options.palette
@click.option("--legend", is_flag=True, help="Names and colours of the classes below colours and overlays.")
def command(directories, source, output, kinds, submission, tta, runner, beam_options, **others):
    """Segment images or a video.

    Writes labels/NAME.png (trainIds), colors/NAME.png and overlays/NAME.png, at each image's own size, and on request
    confidence/NAME.png (0 to 255 for 0 to 1). Images that cannot be read are named at the end, and the exit code is
    then 1. Of a video, colours, overlays and confidence become MP4 files, and labels a folder of PNG files.

    \b
    Examples:
      msda-tf predict --run runs/cityscapes --input frame.png --output results
      msda-tf predict --run runs/cityscapes --input frames/ --output results --resume
      msda-tf predict --run runs/cityscapes --input drive.mp4 --output results --outputs overlays --legend
      msda-tf predict --run runs/cityscapes --input leftImg8bit/test --output results --submission cityscapes
      msda-tf predict --run /mnt/run --input /mnt/frames --output /mnt/results --resume --runner DirectRunner \\
        --beam-option direct_running_mode=multi_processing --beam-option direct_num_workers=2
      msda-tf predict --run gs://bucket/runs/cityscapes --input frames/ --output results
      msda-tf predict --run runs/acdc+dark_zurich --input night/ --output results --mean-of dark_zurich
    """
    runs_there = [files.is_url(str(directory)) for directory in directories]
    everything_there = all((*runs_there, files.is_url(str(source)), files.is_url(str(output))))
    of_runner = () if runner is None and any(runs_there) else beam_options
    runner = options.chosen_runner(runner, of_runner, elsewhere=everything_there)
    quiet.load_tensorflow()
    from msda_tf import predict

    if not set(kinds or ()) <= set(KINDS):
        raise UsageError(f"--outputs {','.join(kinds)}: expected some of {','.join(KINDS)}")
    if others["legend"] and not set(kinds or DEFAULT_KINDS) & set(SHOWN):
        raise UsageError(f"--legend has no meaning without {' or '.join(SHOWN)} among --outputs: leave it out")
    if submission and (kinds or others["legend"]):
        raise UsageError("--submission writes labelIds alone: leave --outputs and --legend out")
    elsewhere_too = files.is_url(str(source)) or files.is_url(str(output))
    if submission and files.is_url(str(output)):
        raise UsageError(
            f"--submission is uploaded from this machine, and {output} is a URL: name a path with --output"
        )
    kinds = kinds or DEFAULT_KINDS
    console = terminal.console()
    reached = elsewhere.folders(
        source,
        output,
        runner,
        known=lambda names: [name for name in names if name.endswith(".jsonl")],
        by_workers=lambda file: file.endswith(".png"),
    )
    with elsewhere.Reach(beam_options, runner) as reach, reached as places:
        for directory in directories:
            reach.run(directory)
        with counting(console, "segmenting") as progress:
            result = predict.predict(
                [_absolute(each) for each in directories] if elsewhere_too else directories,
                places.read,
                places.written,
                kinds=kinds,
                for_submission=submission is not None,
                flip=tta == "flip",
                on_progress=progress,
                runner=places.runner,
                **others,
            )
    for note in result.notes:
        say(f"note: {note}", err=True)
    folders = [str(output)] if submission else [f"{output}/{kind}" for kind in kinds]
    skipped = f"; the results of {result.skipped} were there" if result.skipped else ""
    say(f"Segmented {result.done} images into {', '.join(folders)}{skipped}")
    if result.failed:
        for message in result.failed:
            say(message, err=True)
        raise MsdaError(f"{len(result.failed)} of {result.done + len(result.failed)} images could not be segmented")


def _absolute(directory: pathlib.Path | str) -> pathlib.Path | str:
    """Of a run: a worker's current folder is another."""
    return directory if files.is_url(str(directory)) else directory.resolve()
