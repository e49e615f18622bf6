"""`msda-tf train`."""

import os
import pathlib

import click
import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from msda_tf import config as configuration
from msda_tf import files
from msda_tf.config import deviations
from msda_tf.config.presets import PRESETS
from msda_tf.data import elsewhere as data_sets
from msda_tf.data import manifest as manifests
from msda_tf.errors import MsdaError, UsageError
from msda_tf.methods import METHODS
from msda_tf.printable import printable

from . import elsewhere, quiet, terminal, xla_cache
from . import options as types
from .progress import duration
from .terminal import command_line, say, text_column


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--target", help="Prepared data set to adapt to, or several: a,b. Their labels are never read in training."
)
@click.option(
    "--sources", help="Labelled data sets, separated by commas.  [default: the other two of the paper's three]"
)
@click.option("--data", type=types.Folder(), help="Folder that prepare wrote, or its URL.  [default: data]")
@click.option("--run", "directory", type=types.Folder(), help="Run directory, or its URL.  [default: runs/TARGET]")
@click.option("--layout", type=click.Choice(["separate", "joint", "sources", "s-all"]), help="Networks to train.")
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    help="; ".join(f"{name}: {entry.summary}" for name, entry in METHODS.items()) + ".",
)
@click.option("--no-adapt", is_flag=True, help="Method supervised, layout s-all: the paper's No Adapt column.")
@click.option("--preset", help=f"Starting point: {', '.join(PRESETS)}.  [default: paper; tiny for miniature data]")
@click.option("--config", "file", type=types.Path(), help="YAML file of settings.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting; may be given several times.")
@click.option("--steps", type=int, help="Training steps of each network.")
@click.option("--seed", type=int, help="Seed of weights, data order and flips.")
@click.option("--init", help="Starting weights: imagenet, none, or a file or run.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]),
    help="Arithmetic; losses, softmax and weights stay float32.",
)
@click.option("--jit", is_flag=True, default=None, help="Compile the step with XLA.")
@click.option("--recompute", is_flag=True, default=None, help="Less memory for about a third more time.")
@click.option("--restart", is_flag=True, help="Start over: removes what the run directory holds (asks first).")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--print-config", is_flag=True, help="Show every setting, where its value came from and why, and stop.")
@click.option("--dry-run", "dry", is_flag=True, help="Show what a step costs, take some, write nothing, and stop.")
@elsewhere.reaching
def command(reach, directory, file, settings, preset, restart, yes, print_config, dry, no_adapt, **options):
    """Train on labelled sources and an unlabelled target, or several.

    Run the same command again to continue a run that was interrupted.

    \b
    Examples:
      msda-tf train --target cityscapes                     GTA5 + SYNTHIA to Cityscapes, as the paper
      msda-tf train --target cityscapes --set scale=0.5     the paper's reduced resolution
      msda-tf train --target cityscapes --no-adapt          its No Adapt column
      msda-tf train --target mycity --sources gta5,mytown   your own data
      msda-tf train --target acdc:night,dark_zurich --sources gta5
      msda-tf train --preset adaptsegnet --target cityscapes --sources gta5
      msda-tf train --data data-miniature --target synthia
      msda-tf train --target cityscapes --precision mixed_bfloat16 --recompute --dry-run
      msda-tf train --target cityscapes --data gs://bucket/data --run gs://bucket/runs/cityscapes
    """
    if preset is None and (preset := default_preset(reach, file, settings, options)) != "paper":
        say(f"The data is miniature: training the network of --preset {preset} (--preset paper for the full one).")
    config, origins = resolve(preset=preset, file=file, settings=settings, no_adapt=no_adapt, options=options)
    console = terminal.console()
    if print_config:
        show_config(config, origins)
        return
    configuration.validate(config)
    _check_shared(directory)
    if directory is not None and not dry:
        given, directory = directory, reach.run(directory, choose=elsewhere.runs.to_go_on(directory), sends=True)
    reach.data(config.data, splits(config))
    click.get_current_context().with_resource(xla_cache.kept(config.jit))
    if dry:
        reach.settled()
        quiet.load_tensorflow()
        from msda_tf.dry_run import dry_run

        for cost in dry_run(config):
            show_cost(config, cost)
        return

    quiet.load_tensorflow()
    from msda_tf import runs, train
    from msda_tf.methods import health
    from msda_tf.training import log

    if directory is None:
        given = directory = train.default_directory(config)
    reach.settled()
    if restart and runs.exists(directory) and not yes:
        terminal.confirm(f"Remove the run in {given} and start over?")
    train.load_manifests(config)
    if restart:
        reach.start_over()
    say(f"Settings: {deviations.described(config)} (all of them: --print-config)")
    say(f"Batch: {batch(config)}")
    if config.jit:
        say(
            "The step is compiled by XLA first: minutes for a large network, in which nothing moves (less on a CPU "
            "that has compiled it before)"
        )
    if runs.exists(directory) and not restart and (others := runs.other_versions(runs.packages(directory))):
        say(f"note: {directory} was begun with {'; '.join(others)}: the last digits may differ")
    with quiet.kept_in(directory), TrainingProgress(console, targets=len(config.targets)) as progress:
        run = train.train(
            config,
            directory,
            restart=restart,
            on_progress=progress,
            on_weights=progress.weights,
            on_finished=progress.finished,
            on_saved=reach.send,
        )
    reach.finish()
    say(f"Trained {', '.join(network.name for network in run.networks)} for {config.steps} steps in {directory}")
    for network in run.networks:
        for line in health.warnings(log.read(run.folder(network).log)):
            say(f"note: {network.name}: {line}")
    score = command_line("msda-tf", "evaluate", "--run", given)
    # TensorBoard does not reach all that Beam does.
    look = "" if files.is_url(str(given)) else f"    or: {command_line('tensorboard', '--logdir', directory)}"
    say(f"Next: {score}{look}")


def splits(config) -> dict[str, data_sets.Splits]:
    """What training reads of its data sets."""
    scored = data_sets.training_and_evaluation if config.evaluate_every else data_sets.training
    return dict.fromkeys(config.sources, data_sets.training) | dict.fromkeys(config.targets, scored)


def _check_shared(directory: pathlib.Path | str | None) -> None:
    if not files.is_url(str(directory)) or not os.environ.get("TF_CONFIG"):
        return
    quiet.load_tensorflow()
    from msda_tf.training import workers

    if workers.place()[1] > 1:
        raise UsageError(
            f"{directory} is a URL, whose copy each machine has for itself, and those that train together share the "
            "run's folder: name a path with --run, on a disk that all mount"
        )


def batch(config) -> str:
    """How many images a step sees, and on what."""
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    images = f"{config.batch_size} image{'s' * (config.batch_size > 1)} of each domain a step"
    if config.accumulate > 1:
        images += f", in {config.accumulate} parts"
    return f"{images}, on {'the CPU' if not gpus else 'one GPU' if gpus == 1 else f'{gpus} GPUs'}"


def default_preset(reach, file, settings, options) -> str:
    """The paper's; for generated scenes of 128 pixels' height the one that fits them."""
    config, _ = resolve(preset="paper", file=file, settings=settings, no_adapt=False, options=options)
    try:
        reach.data(config.data, {config.targets[0]: data_sets.none})
        target = manifests.find(config.data, config.targets[0])
    except MsdaError:
        return "paper"  # train says what is wrong with the data
    return "tiny" if target.options.get("miniature") else "paper"


def resolve(*, preset, file, settings, no_adapt, options):
    """The configuration and the origin of its values from command-line options (None where not given)."""
    given = given_settings(settings, options)
    if no_adapt:
        # No Adapt is the pooled branch: the others are not part of the paper's table.
        given = {"method": "supervised", "layout": "s-all", **given}
    return configuration.resolve(preset=preset, file=file, settings=given)


def given_settings(settings, options: dict) -> dict:
    """Settings from `--set KEY=VALUE` and from options of their own (None where not given), by key."""
    given = {key: str(v) if isinstance(v, pathlib.Path) else v for key, v in options.items() if v is not None}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting!r}: expected KEY=VALUE, such as --set steps=1000")
        given[key.strip()] = value.strip()
    return given


def show_config(config, origins) -> None:
    """Prints every key with its value, where the value came from, and what it is for: YAML that --config takes."""
    values = configuration.to_dict(config)
    lines = [
        f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000).split(chr(10))[0]}"
        for key, value in values.items()
    ]
    width = max(map(len, lines)) + 2
    for key, line in zip(values, lines, strict=True):
        say(f"{line:<{width}}# {origins[key]}: {config.reason(key)}")


def show_cost(config, cost) -> None:
    """Prints what a dry run found out about one network."""
    sizes = ", ".join(f"{name} {width}x{height}" for name, (height, width) in cost.sizes.items())
    counts = cost.parameters
    trained = sum(counts.values()) - counts["frozen"]
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items() if name != "frozen" and count)
    variables, step = cost.variable_bytes / 2**30, cost.step_bytes / 2**30
    peaks = ", ".join(f"{name.removeprefix('memory/')} {value:.2f} GiB" for name, value in cost.peak.items())
    settings = f"batch {config.batch_size}, {config.precision}{', XLA' * config.jit}{', recompute' * config.recompute}"
    settings += ", domains of one size together" * cost.together
    for name, value in {
        "network": f"{cost.network.name}: branches {', '.join(cost.network.branches)}",
        "input": f"{sizes}; {settings}",
        "parameters": f"{trained:,} trained ({parts}), {counts['frozen']:,} frozen",
        "step": f"{cost.images} images, {cost.flops / 1e9:,.1f} GFLOP (convolutions and matrix products)",
        "memory": f"about {variables + step:.2f} GiB on each device: weights and optimizers {variables:.2f}, "
        f"activations and gradients {step:.2f}; peak of these steps: {peaks}",
        "time": f"first step {cost.first_seconds:.1f} s (tracing included), then {cost.step_seconds:.3f} s: "
        f"{cost.images / cost.step_seconds:.2f} images/s, {cost.flops / cost.step_seconds / 1e9:,.0f} GFLOP/s, "
        f"{config.steps} steps in {duration(config.steps * cost.step_seconds)}",
    }.items():
        say(f"{name + ':':12}{value}")
    say()


class TrainingProgress:
    """One live line for each network, figures below it; elsewhere than on a terminal, a line every tenth of the way.

    The terminal's title says how far training is, for whoever looks at something else meanwhile.
    """

    def __init__(self, console: Console, *, targets: int = 1):
        self._console, self._targets = console, targets
        self._progress = Progress(
            text_column(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            text_column("left"),
            console=console,
        )
        self._figures = ""
        self._live = Live(console=console, get_renderable=self._shown, auto_refresh=True, refresh_per_second=4)
        self._titled = False
        self._bars: dict = {}
        self._printed: dict = {}

    def __enter__(self):
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_):
        self._figures = ""  # they are in the lines above
        self._live.stop()
        if self._titled:
            terminal.title(self._console, None)
            self._titled = False

    def _shown(self):
        return Group(self._progress, Text(self._figures, overflow="fold")) if self._figures else self._progress

    def weights(self, network, report):
        """Shows what a network's starting weights are: silently missing ones are the commonest cause of bad runs."""
        terminal.line(self._console, f"{network.name}: {report}")

    def finished(self, network, outcome):
        """Sums a network's training up in a line."""
        parts = [outcome.headline, f"{outcome.images_per_second:.1f} images/s", f"{outcome.seconds / 60:.1f} minutes"]
        if outcome.best_score is not None:
            of = "best mIoU" if self._targets == 1 else f"best average mIoU of {self._targets} targets"
            parts.insert(
                1, f"{of} {100 * outcome.best_score:.2f} % at step {outcome.best_step}, chosen on the target's labels"
            )
        terminal.line(self._console, f"{network.name}: {'  '.join(parts)}")

    def __call__(self, network, step, steps, headline):
        if not self._console.is_terminal:
            tenth = step * 10 // steps
            if headline != "evaluating" and self._printed.get(network.name) != tenth:
                self._printed[network.name] = tenth
                terminal.line(self._console, f"{network.name}: step {step} of {steps}  {headline}")
            return
        if network.name not in self._bars:
            self._bars[network.name] = self._progress.add_task(network.name, total=steps, completed=step)
        bar = self._bars[network.name]
        self._progress.update(bar, completed=step)
        self._figures = printable(f"{network.name}: {headline}")
        self._live.refresh()
        task = next(task for task in self._progress.tasks if task.id == bar)
        left = "" if task.time_remaining is None else f", {duration(task.time_remaining)} left"
        terminal.title(self._console, f"{100 * step // steps} % of {network.name}{left}", first=not self._titled)
        self._titled = True
