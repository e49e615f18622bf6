"""What works with which backbone: the table of docs/backbones.md.

    python benchmarks/conversions.py FOLDER
    python benchmarks/conversions.py FOLDER --backbones mit-b0,dinov2-s

Takes one training step with random weights on generated scenes: plain, with XLA, with recomputed blocks, in bfloat16
and with frozen BatchNorm; and exports what was trained as SavedModel, with folded BatchNorm, as ONNX and as LiteRT. The
last two compare the file with the network before they leave it. A cell says yes, or the reason why not.
"""

import argparse
import contextlib
import io
import os
import pathlib
import re
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from msda_tf.cli.main import main as msda_tf
from msda_tf.models.backbones import BACKBONES

BACKBONES_SHOWN = ("tiny", "resnet50", "efficientnet-lite0", "mit-b0", "dinov2-s", "dinov2-s-registers")
DECODERS = {"mit-b0": "mlp", "dinov2-s": "transposed", "dinov2-s-registers": "transposed"}
SIZE = "140x70"

TRAININGS = {"XLA": {"jit": "true"}, "recompute": {"recompute": "true"}, "bfloat16": {"precision": "mixed_bfloat16"}}
EXPORTS = {
    "SavedModel": [],
    "folded": ["--fold-batch-norm"],
    "ONNX": ["--format", "onnx", "--size", SIZE],
    "LiteRT": ["--format", "tflite", "--size", SIZE],
}


def outcome(*words) -> str:
    """ "yes", or the line in which the command ended."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            msda_tf([*map(str, words)])
    except SystemExit as end:
        if end.code:
            lines = re.findall(r"^msda-tf: (.*)", said.getvalue(), re.MULTILINE)
            return lines[-1] if lines else f"exit code {end.code}"
    return "yes"


def train(run: pathlib.Path, data: pathlib.Path, backbone: str, **settings) -> str:
    """A run of so many steps, or one that goes on."""
    norm = {"norm": "group"} if BACKBONES[backbone].norms else {}
    chosen = {"steps": 1, "backbone": backbone, "init": "none", "layout": "s-all", "evaluate_every": 0, "flip": "false"}
    chosen |= norm | {"decoder": DECODERS.get(backbone, "atrous"), "held_out": 0} | settings
    words = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    return outcome("train", "--data", data, "--target", "cityscapes", "--run", run, "--preset", "tiny", *words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--backbones", default=",".join(BACKBONES_SHOWN))
    arguments = parser.parse_args()
    data = arguments.folder / "data-miniature"
    frames = ["--train-frames", 4, "--test-frames", 2, "--height", 64]
    assert (said := outcome("prepare", "--dataset", "miniature", "--output", data, *frames)) == "yes", said
    columns = ["train", *TRAININGS, "frozen norm", *EXPORTS]
    print(f"| backbone | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for backbone in arguments.backbones.split(","):
        folder = arguments.folder / backbone
        shutil.rmtree(folder, ignore_errors=True)
        cells = [train(folder / "run", data, backbone)]
        cells += [train(folder / name, data, backbone, **settings) for name, settings in TRAININGS.items()]
        norm = {"norm": "frozen"} if BACKBONES[backbone].norms else {}
        cells.append(train(folder / "frozen", data, backbone, **norm))
        for name, options in EXPORTS.items():
            run = folder / ("frozen" if name == "folded" else "run")
            cells.append(outcome("export", "--run", run, "--output", folder / f"export-{name}", *options))
        print(f"| `{backbone}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
