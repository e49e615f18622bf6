"""The msda-tf command: its sub-commands, and how its errors end."""

import importlib
import io
import os
import sys

import click

from msda_tf.errors import MsdaError, of_system, summary

from . import version
from .terminal import say

# Sub-command -> (module of this package, one-line help): a module is imported only when its command runs or prints
# its help, because TensorFlow takes seconds to load and `msda-tf --help` should not.
COMMANDS = {
    "datasets": "List the data sets that prepare knows by name, describe one, get one.",
    "prepare": "Convert a raw data set to TFRecord shards.",
    "inspect": "Look at a prepared data set: figures, class histogram, images with labels.",
    "stylize": "Re-style a source's images to look like the target's (UNIT).",
    "train": "Train on labelled sources and an unlabelled target.",
    "runs": "List runs with their progress and mIoU.",
    "evaluate": "Score a run on the target's labelled images.",
    "report": "Write a page about runs: scores, confusion, training curves, images.",
    "predict": "Segment images with a trained run.",
    "experiment": "Train and score a whole table of runs: the paper's, or a miniature of it.",
    "export": "Write a SavedModel for TensorFlow Serving.",
    "query": "Segment images on a server that runs an exported model.",
    "demo": "The whole job on generated miniature data.",
    "doctor": "Look at this machine and what is installed: what is wrong, and what to do.",
}


class LazyGroup(click.Group):
    """Finds the command `name` in the module of this package that has its name, under the attribute `command`."""

    def list_commands(self, context):
        return list(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"msda_tf.cli.{name}").command

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@version.option
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug):
    """Multi-source domain-adaptive semantic segmentation of street scenes.

    \b
    First steps, on generated data:     msda-tf demo
    With your data:                     msda-tf prepare --dataset gta5 --raw ~/gta5
                                        msda-tf prepare --dataset cityscapes --raw ~/cityscapes
                                        msda-tf train --target cityscapes --sources gta5
                                        msda-tf evaluate --run runs/cityscapes
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command and ends the process: 0 if all went well, 1 for a failure, 2 for misuse, 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # --debug is taken in any position: it is typed after a command has failed, at the end of the line.
    debug = "--debug" in arguments or bool(os.environ.get("MSDA_TF_DEBUG"))
    arguments = [argument for argument in arguments if argument != "--debug"]
    if debug:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding than UTF-8 shows what it lacks as \u20ac; a notebook's stream has no encoding.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(args=arguments, prog_name="msda-tf", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        if debug:
            raise
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        # click lists choices on lines of their own.
        _fail(f"{' '.join(error.format_message().split())}{hint}", error.exit_code)
    except MsdaError as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        # `msda-tf runs | head`: whoever reads has enough. What is still in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        _fail(of_system(error), 1)
    except Exception as error:  # a bug of ours: still one line, and how to see more
        if debug:
            raise
        _fail(f"unexpected {summary(error)} (run again with --debug for the traceback)", 1)


def _fail(message: str, code: int) -> None:
    say(f"msda-tf: {message}", err=True)
    sys.exit(code)
