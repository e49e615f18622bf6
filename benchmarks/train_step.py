"""One training step of this project beside the same step in plain PyTorch (benchmarks/torch_step.py).

    python benchmarks/train_step.py
    python benchmarks/train_step.py --threads 1 --rounds 9
    python benchmarks/train_step.py --earlier ../msda-tf-before     # and the same step of another checkout
    python benchmarks/train_step.py --backbone mit-b0 --method self-training --batch 2 --limit 600
    python benchmarks/train_step.py --passes together
    python benchmarks/train_step.py --alone --without-onednn    # and the same step with TensorFlow's own kernels

ResNet-101, layout `joint` (branches S1, S2 and S-All at two levels, six discriminators), two sources and a target,
batch 1, Adam. Every contestant is a process of its own with the same number of threads; all start from the same weights
and images (the first step's losses show that they do the same work), then they take turns, one step at a time, so that
whatever else the machine does meets all of them. On a busy machine the CPU seconds of one thread each are the fairest
figures: PyTorch's threads wait for each other by spinning, and suffer most when one of them is interrupted. With a GPU
the contestants compile side by side.

Without a GPU: float32, sources of 320x180, target of 256x128. With one: sources of 1280x720, target of 1024x512, in
float32, TF32 and bfloat16, each with and without XLA and torch.compile. With another backbone or method than PyTorch's
script has, ours takes turns with itself under XLA. A step's operations are counted in the graph, and held against what
a matrix product reaches on the same machine.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from msda_tf.cli import quiet
from msda_tf.config.branches import plan
from msda_tf.methods import METHODS

HERE = pathlib.Path(__file__).resolve().parents[1]
EARLIER = "ours, earlier"
WITHOUT_ONEDNN = "ours, without oneDNN"
WAIT_FOR_WEIGHTS = 300
CLASSES = 19
FEEDS = (("S1", "S-All"), ("S2", "S-All"))
CPU = {"ours": ("tensorflow", "float32", False), "PyTorch": ("torch", "float32", False)}
CPU_COMPILED = {"ours, XLA": ("tensorflow", "float32", True), "torch.compile": ("torch", "float32", True)}


ARITHMETIC = ("float32", "tf32", "bfloat16")


def contestants(gpu: bool, compiled: bool, arithmetic: list[str]) -> list[dict[str, tuple[str, str, bool]]]:
    """Groups that run side by side: {name: (framework, arithmetic, compiled)}, each starting with what others meet."""
    if not gpu:
        return [CPU | (CPU_COMPILED if compiled else {})]
    return [
        {
            f"ours, {arithmetic}": ("tensorflow", arithmetic, False),
            f"ours, {arithmetic}, XLA": ("tensorflow", arithmetic, True),
            f"PyTorch, {arithmetic}": ("torch", arithmetic, False),
            f"torch.compile, {arithmetic}": ("torch", arithmetic, True),
        }
        for arithmetic in arithmetic
    ]


def make_batch(source: tuple[int, int], target: tuple[int, int], count: int) -> dict:
    """`count` smooth random images of each domain and labels in blocks, as NumPy arrays; a tenth of the labels is 255.

    Sizes are (H, W).
    """
    random = np.random.default_rng(0)

    def blocks(size, high, channels=()):
        coarse = random.integers(0, high, (count, -(-size[0] // 16), -(-size[1] // 16), *channels))
        return coarse.repeat(16, 1).repeat(16, 2)[:, : size[0], : size[1]].astype(np.uint8)

    def images(size, labelled):
        found = {"image": blocks(size, 256, (3,)), "mean": np.array([123.7, 116.8, 103.9], np.float32)}
        if labelled:
            label = blocks(size, CLASSES + 2)
            found["label"] = np.where(label < CLASSES, label, 255).astype(np.uint8)
        return found

    return {"sources": [images(source, True) for _ in FEEDS], "target": images(target, False)}


def make_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights by Torch name that keep activations and logits near 1."""
    random = np.random.default_rng(1)
    state = {}
    for name, shape in shapes.items():
        if len(shape) == 4:
            gain = (2 / np.prod(shape[1:])) ** 0.5 / (60 if name == "network.conv1.weight" else 1)
            state[name] = random.standard_normal(shape) * gain
        elif name.endswith("running_var") or (name.endswith("weight")):
            state[name] = np.full(shape, 0.2 if "bn3.weight" in name else 1.0)
        else:
            state[name] = random.standard_normal(shape) * 0.1
    return {name: value.astype(np.float32) for name, value in state.items()}


def torch_name(path: str) -> str:
    """The name in torch_step.py of a Keras variable, from its path."""
    _, part, *layers, tensor = path.split("/")
    tensor, _, number = tensor.partition("_") if part != "backbone" else (tensor, "", "")
    names = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
    names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    tensor = names.get(tensor, tensor)
    if part == "backbone":
        path = re.sub(r"^layer(\d)_", r"layer\1.", ".".join(layers))
        path = path.replace("downsample_conv", "downsample.0").replace("downsample_bn", "downsample.1")
        return f"network.{path}.{tensor}"
    if layers[0].startswith("discriminator_"):
        branch = layers[0].removeprefix("discriminator_")
        return f"discriminators.{part}.{branch}.{2 * int(number)}.{tensor}"
    return f"network.heads.{part}.{layers[0]}.rates.{number}.{tensor}"


def tensorflow_step(options, arithmetic: str, compiled: bool, batch: dict):
    """(a step: a function that gives its losses, peak GPU bytes as a function or None)"""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    quiet.use_onednn()
    import tensorflow as tf

    from msda_tf.config import TrainConfig
    from msda_tf.data.corrupt import CorruptRecords
    from msda_tf.data.manifest import Manifest, Split
    from msda_tf.labels import CITYSCAPES_CLASSES
    from msda_tf.methods.task import SegmentationTask
    from msda_tf.training import graph_cost
    from msda_tf.training.workers import local_strategy

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(arithmetic == "tf32")
    settings = {
        "target": "target", "sources": ("one", "two"), "layout": "joint", "loss_at": "input", "jit": compiled,
        "precision": "mixed_bfloat16" if arithmetic == "bfloat16" else "float32", "backbone": options.backbone,
        "method": options.method, "batch_size": options.batch,
    }  # fmt: skip
    # An earlier checkout has not all of today's settings.
    config = TrainConfig(**settings | ({"passes": options.passes} if options.passes else {}))
    manifests = {
        name: Manifest(
            name=name, kind="custom", classes=CITYSCAPES_CLASSES, height=size[0], width=size[1], mean_rgb=(0, 0, 0),
            splits={"train": Split((), True, (1,) * CLASSES, 0)}, training_split="train", evaluation_split=None,
        )
        for name, size in {"one": options.source, "two": options.source, "target": options.target}.items()
    }  # fmt: skip
    (network,) = plan(config)
    task = SegmentationTask(
        config=config, network=network, manifests=manifests, strategy=local_strategy(), corrupt=CorruptRecords(limit=0)
    )
    if with_torch(options):
        weights = make_weights({torch_name(v.path): _torch_shape(v.shape) for v in task.segmenter.variables})
        for variable in task.segmenter.variables:
            value = weights[torch_name(variable.path)]
            variable.assign(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)
        half = f"{options.weights}.{os.getpid()}.npz"
        np.savez(half, **weights)
        os.replace(half, options.weights)  # PyTorch's contestants wait for it
    batch = tf.nest.map_structure(tf.constant, batch)

    def step():
        return {name: float(value) for name, value in task.train_step(batch).items()}

    def cost():
        """(operations of a step, operations a second of a matrix product)"""
        return graph_cost.flops(task.step_graph(batch)), product_rate(arithmetic, 8192 if gpus else 1024)

    return step, (lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"]) if gpus else None, cost


def product_rate(arithmetic: str, size: int) -> float:
    """Operations a second of a square matrix product: the best of five."""
    import tensorflow as tf

    dtype = tf.bfloat16 if arithmetic == "bfloat16" else tf.float32
    matrix = tf.cast(tf.random.normal((size, size)), dtype)
    times = 10

    @tf.function
    def products(value):
        for _ in range(times):
            value = tf.matmul(value, matrix) / size**0.5
        return tf.reduce_sum(tf.cast(value, tf.float32))

    float(products(matrix))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        float(products(matrix))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 * times / min(seconds)


def with_torch(options) -> bool:
    """Whether benchmarks/torch_step.py has this step."""
    return (options.backbone, options.method) == ("resnet101", "adversarial")


def _torch_shape(shape):
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else tuple(shape)


def pytorch_step(options, arithmetic: str, compiled: bool, batch: dict):
    """As `tensorflow_step`."""
    import torch
    from torch_step import TorchStep

    torch.set_num_threads(options.threads)
    gpu = torch.cuda.is_available()
    torch.set_float32_matmul_precision("high" if arithmetic == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = arithmetic == "tf32"
    torch.backends.cudnn.benchmark = True
    step = TorchStep(
        feeds=FEEDS, classes=CLASSES, device="cuda" if gpu else "cpu", bfloat16=arithmetic == "bfloat16",
        compiled=compiled, channels_last=options.channels_last,
    )  # fmt: skip
    until = time.monotonic() + WAIT_FOR_WEIGHTS
    while not os.path.exists(options.weights):
        if time.monotonic() > until:
            raise RuntimeError("none of ours has written its weights")
        time.sleep(0.2)
    step.load(dict(np.load(options.weights)))
    return lambda: step(batch), torch.cuda.max_memory_allocated if gpu else None, None


def contestant(options) -> None:
    """The process of one contestant: a step for every line that it reads, a line of JSON for every step."""
    framework, arithmetic, compiled = json.loads(options.contestant)
    batch = make_batch(options.source, options.target, options.batch)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the replies
    make = tensorflow_step if framework == "tensorflow" else pytorch_step
    step, gpu_peak, cost = make(options, arithmetic, compiled, batch)
    for line in sys.stdin:
        if line == "cost\n":
            print(json.dumps(cost()), file=replies, flush=True)
            continue
        start, cpu_start = time.perf_counter(), time.process_time()
        losses = step()
        found = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu_start, "losses": losses}
        found["peak"] = gpu_peak() if gpu_peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(found), file=replies, flush=True)


class Process:
    """A contestant, seen from outside."""

    def __init__(self, name: str, kind: tuple, arguments: list[str], checkout: pathlib.Path, limit: float | None):
        self.name, self.seconds, self.cpu, self.peak, self.cost = name, [], [], 0, None
        self.ours = kind[0] == "tensorflow"
        self._limit, self._asked = limit, 0.0
        script = checkout / "benchmarks" / pathlib.Path(__file__).name
        command = [sys.executable, str(script), *arguments, "--contestant", json.dumps(kind)]
        # Messages of its libraries are shown only if it fails.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        if name == WITHOUT_ONEDNN:
            environment["TF_ENABLE_ONEDNN_OPTS"] = "0"
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )

    def step(self) -> dict:
        """Has it take a step."""
        self.ask("step")
        found = self.answer()
        self.peak = found["peak"]
        return found

    def look_at_cost(self) -> None:
        """Operations of a step, and those a second of a product."""
        self.ask("cost")
        self.cost = self.answer()

    def ask(self, question: str) -> None:
        """Has it begin to work on an answer."""
        self._asked = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{question}\n")
            self._process.stdin.flush()

    def answer(self):
        """What it answers to the question; raises RuntimeError if it has died or takes too long."""
        left = None if self._limit is None else max(0.0, self._asked + self._limit - time.monotonic())
        if not select.select([self._process.stdout], [], [], left)[0]:
            self._process.kill()
            raise RuntimeError("it took longer than --limit")
        reply = self._process.stdout.readline()
        if not reply:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError("\n".join(self._errors.read().strip().splitlines()[-3:]))
        return json.loads(reply)

    def end(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()


def compare(
    kinds: dict,
    arguments: list[str],
    *,
    earlier: pathlib.Path | None,
    warm_up: int,
    rounds: int,
    limit: float | None,
    side_by_side: bool,
) -> None:
    """Starts a group's processes (`side_by_side`, or one after the other), lets them take turns, and prints medians."""
    processes, losses = [], {}

    def tried(process: Process, act: Callable):
        """What it answers; None if it fails or takes too long, and then it is left out."""
        try:
            return act(process)
        except RuntimeError as error:
            print(f"{process.name}: left out: {error}", flush=True)
            processes.remove(process)
            process.end()

    def begin(process: Process):
        first = tried(process, Process.answer)
        if first is not None:
            losses[process.name] = first["losses"]
            print(f"{process.name}: first step (with compilation) {first['seconds']:.1f} s", flush=True)
            tried(process, lambda process: [process.step() for _ in range(warm_up)])

    try:
        for name, kind in kinds.items():
            processes.append(Process(name, kind, arguments, earlier if name == EARLIER else HERE, limit))
            processes[-1].ask("step")
            if not side_by_side:
                begin(processes[-1])
        if side_by_side:
            for process in list(processes):
                begin(process)
        for _ in range(rounds):
            for process in list(processes):
                found = tried(process, Process.step)
                if found is not None:
                    process.seconds.append(found["seconds"])
                    process.cpu.append(found["cpu"])
        for process in processes:
            # Last, for it takes memory of its own, and what was measured counts without it.
            if process.ours and process.name != EARLIER:
                with contextlib.suppress(RuntimeError):
                    process.look_at_cost()
    finally:
        for process in processes:
            process.end()
    if not processes:
        return
    common = sorted(set.intersection(*(set(losses[process.name]) for process in processes)))
    print(f"\n{'losses of the first step':26}" + "".join(f"{process.name:>24}" for process in processes))
    for loss in common:
        if "/output/" in loss:
            print(f"{loss:26}" + "".join(f"{losses[process.name][loss]:24.6f}" for process in processes))
    first = processes[0]
    # A term that weighs nothing yet is 0: pseudo-labels of a teacher that is sure of nothing.
    told = [loss for loss in common if losses[first.name][loss]]
    worst = max(
        abs(losses[process.name][loss] / losses[first.name][loss] - 1) for process in processes for loss in told
    )
    print(f"largest relative difference of all {len(common)} losses: {worst:.1e}")
    print(f"\n{'medians':26}{'step':>10}{'CPU':>10}{'peak':>11}   speed of {first.name} against it: step, CPU")
    for process in processes:
        # Each round's ratio is of two neighbours in time.
        ratios = [
            statistics.median(b / a for a, b in zip(mine, its, strict=True))
            for mine, its in ((first.seconds, process.seconds), (first.cpu, process.cpu))
        ]
        line = f"{process.name:26}{statistics.median(process.seconds):8.3f} s{statistics.median(process.cpu):8.3f} s"
        print(f"{line}{process.peak / 2**30:7.2f} GiB{ratios[0]:11.2f}{ratios[1]:8.2f}")
        print(f"  steps: {' '.join(f'{value:.2f}' for value in process.seconds)}")
        if process.cost:
            operations, product = process.cost
            rate = operations / statistics.median(process.seconds)
            print(
                f"  {operations / 1e12:.2f} TFLOP a step, {rate / 1e12:.2f} TFLOP/s: {100 * rate / product:.0f} % of a "
                f"matrix product's {product / 1e12:.2f}"
            )
    print(flush=True)


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT to (height, width)."""
    width, height = map(int, text.split("x"))
    return height, width


def main() -> None:
    gpu = bool(list(pathlib.Path("/dev").glob("nvidia[0-9]*")))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=size, default=size("1280x720" if gpu else "320x180"), metavar="WxH")
    parser.add_argument("--target", type=size, default=size("1024x512" if gpu else "256x128"), metavar="WxH")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each (default: all)")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before the measured ones (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="steps of each that are measured (default: 5)")
    parser.add_argument("--batch", type=int, default=1, help="images of each domain (default: 1)")
    parser.add_argument("--backbone", default="resnet101", help="(default: resnet101)")
    parser.add_argument("--method", default="adversarial", help="(default: adversarial)")
    parser.add_argument("--passes", help="together or apart (default: as training decides)")
    parser.add_argument("--arithmetic", nargs="+", choices=ARITHMETIC, default=list(ARITHMETIC), help="with a GPU")
    parser.add_argument("--alone", action="store_true", help="without PyTorch")
    parser.add_argument("--leave-out", nargs="+", default=[], metavar="WORD", help="contestants with such a name")
    parser.add_argument("--without-onednn", action="store_true", help="also with TensorFlow's own kernels for CPUs")
    parser.add_argument(
        "--limit", type=float, metavar="SECONDS", help="for each contestant and answer, its start included"
    )
    parser.add_argument("--compiled", action="store_true", help="also XLA and torch.compile, without a GPU")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch's memory format")
    parser.add_argument(
        "--earlier",
        type=lambda path: pathlib.Path(path).resolve(),
        metavar="CHECKOUT",
        help="another revision of this project",
    )
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        contestant(options)
        return
    if METHODS[options.method].teacher:
        options.source = options.target  # images that are mixed have one size
    sizes = {name: "x".join(map(str, reversed(getattr(options, name)))) for name in ("source", "target")}
    print(f"sources {sizes['source']}, target {sizes['target']}, {options.threads} threads")
    with tempfile.TemporaryDirectory() as temporary:
        arguments = ["--source", sizes["source"], "--target", sizes["target"], "--threads", str(options.threads)]
        arguments += ["--weights", f"{temporary}/weights.npz"] + ["--channels-last"] * options.channels_last
        # Earlier checkouts know these options only where they differ from what there always was.
        for name in ("batch", "backbone", "method", "passes"):
            value = getattr(options, name)
            arguments += [f"--{name}", str(value)] if value != parser.get_default(name) else []
        for kinds in contestants(gpu, options.compiled, options.arithmetic):
            if options.alone or not with_torch(options):
                kinds = {name: kind for name, kind in kinds.items() if kind[0] == "tensorflow"}
            kinds = {name: kind for name, kind in kinds.items() if not any(word in name for word in options.leave_out)}
            if options.earlier:
                kinds[EARLIER] = kinds[next(iter(kinds))]
            if options.without_onednn:
                kinds[WITHOUT_ONEDNN] = kinds[next(iter(kinds))]
            compare(
                kinds,
                arguments,
                earlier=options.earlier,
                warm_up=options.warm_up,
                rounds=options.rounds,
                limit=options.limit,
                side_by_side=gpu,
            )


if __name__ == "__main__":
    main()
