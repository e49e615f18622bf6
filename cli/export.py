"""`msda-tf export`."""

import click

from msda_tf.errors import UsageError
from msda_tf.image_files.headers import LARGEST

from . import elsewhere, options, quiet
from .terminal import command_line, say


@click.command(context_settings={"max_content_width": 110})
@options.runs
@click.option("--output", required=True, type=options.Path(), help="The model's folder: a server's base path.")
@options.merge
@options.branches
@options.mean_of
@options.select
@options.serve
@options.window
@options.palette
@click.option("--confidence", is_flag=True, help="Also give the probability of each pixel's class.")
@click.option("--color-map", is_flag=True, help="Also give the label map in the classes' colours.")
@click.option("--size", type=options.Size(), help="Take only images of this size.  [default: any]")
@click.option(
    "--scale",
    type=options.Number(0, 4, min_open=True),
    help="Size of the networks' input against the image; 0.5 is about four times as fast.  [default: the run's]",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
    help="Arithmetic.  [default: the run's]",
)
@click.option("--fold-batch-norm", "fold", is_flag=True, help="Faster: fold BatchNorm into the convolutions.")
@click.option(
    "--store",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Type of the stored kernels; bfloat16 is half the size.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["savedmodel", "onnx", "tflite"]),
    default="savedmodel",
    show_default=True,
    help="onnx and tflite run without TensorFlow.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1, LARGEST),
    default=1 << 23,
    show_default=True,
    help="Refuse requests of more pixels in all, which the server's memory may not hold (ResNet-101: 1 GB a million).",
)
@elsewhere.reaching
def command(reach, directories, output, confidence, color_map, size, max_pixels, **others):
    """Write a SavedModel for TensorFlow Serving.

    The model takes uint8 RGB images of any size (signature serving_default), or PNG and JPEG files (serving_bytes), and
    gives trainIds at the same size; resizing, the target's mean and Max Merge are inside. Each export is a new version:
    OUTPUT/1, OUTPUT/2, ...

    \b
    Examples:
      msda-tf export --run runs/cityscapes --output models/cityscapes
      msda-tf export --run runs/cityscapes --output models/cityscapes --confidence --scale 0.5
      msda-tf export --run runs/cityscapes --output models/cityscapes --fold-batch-norm --store bfloat16
      msda-tf export --run runs/cityscapes --output models/cityscapes-onnx --format onnx
    """
    if size and size[0] * size[1] > max_pixels:
        raise UsageError(
            f"--size {size[1]}x{size[0]} is of more pixels than the {max_pixels} that a request may have: lower it, or "
            "raise --max-pixels"
        )
    quiet.load_tensorflow()
    from msda_tf import export
    from msda_tf.serving.model import Served

    served = Served(confidence=confidence, color_map=color_map, size=size, max_pixels=max_pixels)
    directories = [reach.run(directory) for directory in directories]
    reach.settled()
    version = export.export(directories, output, served=served, **others)
    say(f"Exported to {version}")
    if others["kind"] == "savedmodel":
        say(f"Look at it: {command_line('saved_model_cli', 'show', '--dir', version, '--all')}")
