"""`msda-tf query`."""

import click

from msda_tf.errors import MsdaError, UsageError
from msda_tf.evaluation import palettes
from msda_tf.prediction import images

from . import options, quiet, terminal
from .progress import counting
from .terminal import say


@click.command(context_settings={"max_content_width": 110})
@click.option("--url", help="The model's REST address: http://HOST:8501/v1/models/NAME.")
@click.option("--grpc", "address", metavar="HOST:PORT", help="The server's gRPC address, several times faster.")
@click.option("--model", default="msda", show_default=True, help="With --grpc: the model's name on the server.")
@click.option(
    "--input",
    "source",
    required=True,
    type=options.Path(),
    help="Image (PNG or JPEG), or folder of images, with sub-folders.",
)
@options.results
@click.option(
    "--classes",
    "export",
    type=options.Path(),
    metavar="EXPORT",
    help="Folder that export wrote, or its metadata.json: names and colours of the classes.  [default: the colours "
    "that the server sends, if it does, or those of Cityscapes]",
)
@options.palette
@click.option("--legend", is_flag=True, help="With --classes: names and colours below colours and overlays.")
@click.option(
    "--timeout", type=options.Number(0, 86400, min_open=True), default=60.0, show_default=True, help="Seconds."
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="How often to ask again while the server is unavailable.",
)
@options.max_pixels
def command(url, address, model, source, output, export, palette, legend, timeout, retries, max_pixels):
    """Segment images on a server that runs an exported model.

    Writes labels/NAME.png (trainIds), colors/NAME.png and overlays/NAME.png, as predict does.

    \b
    Examples:
      msda-tf query --url http://localhost:8501/v1/models/msda --input frame.png --output results
      msda-tf query --grpc localhost:8500 --input frames/ --output results
      msda-tf query --url http://localhost:8501/v1/models/msda --input frame.png --output results --classes export \\
        --legend
    """
    if (url is None) == (address is None):
        raise UsageError("name the server by either --url (REST) or --grpc")
    if export is None and (legend or palette != palettes.OWN):
        asked = "--legend" if legend else f"--palette {palette}"
        raise UsageError(f"{asked} needs to know the classes: name the export that the server runs with --classes")
    images.check_output(source, output)
    from msda_tf.serving.client import classes as exported

    classes = palettes.recoloured(exported.read(export), palette) if export else None
    from msda_tf.serving.client import query

    if url is not None:
        from msda_tf.serving.client.rest import RestClient

        client = RestClient(url, timeout=timeout)
    else:
        quiet.load_tensorflow()
        from msda_tf.serving.client.grpc_client import GrpcClient

        client = GrpcClient(address, model=model, timeout=timeout)
    with counting(terminal.console(), "segmenting") as progress:
        failed = query.query(
            client,
            source,
            output,
            classes=classes,
            legend=legend,
            retries=retries,
            max_pixels=max_pixels,
            on_progress=progress,
        )
    for message in failed:
        say(message, err=True)
    if failed:
        raise MsdaError(f"{len(failed)} images could not be segmented")
    say(f"Results: {output}")
