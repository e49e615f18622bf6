"""Size and latency of every form in which a run can be exported, measured in one go on this machine.

    python benchmarks/serving.py --run runs/cityscapes
    python benchmarks/serving.py --run runs/cityscapes --size 1024x512 --repeat 20

Prints a Markdown table. The forms take turns, image by image, so that whatever else the machine does meets all of them;
the latency is the median, from an image in memory to its label map in memory.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.serving.convert import FILE_NAMES

FORMS = {
    "SavedModel": [],
    "SavedModel, folded": ["--fold-batch-norm"],
    "SavedModel, bfloat16 kernels": ["--store", "bfloat16"],
    "SavedModel, bfloat16 arithmetic": ["--precision", "mixed_bfloat16"],
    "SavedModel, half resolution": ["--scale", "0.5"],
    "ONNX": ["--format", "onnx"],
    "ONNX, folded": ["--format", "onnx", "--fold-batch-norm"],
    "LiteRT, folded": ["--format", "tflite", "--fold-batch-norm"],
}


def exported(run: str, output: str, size: str, choice: list[str]) -> pathlib.Path:
    """Exports in a process of its own: the converters keep what memory they once took."""
    command = [sys.executable, "-m", "msda_tf.cli", "export", "--run", run, "--output", output, "--size", size, *choice]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise MsdaError(done.stderr.strip().splitlines()[-1])
    return max(pathlib.Path(output).iterdir(), key=lambda path: int(path.name))


def runner(version: pathlib.Path, kind: str, threads: int):
    """A function from uint8 `[1, H, W, 3]` to the label map, of an exported version."""
    if kind == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            str(version / FILE_NAMES[kind]), options, providers=["CPUExecutionProvider"]
        )
        return lambda image: session.run(["label_map"], {"images": image})[0]
    if kind == "tflite":
        interpreter = tf.lite.Interpreter(model_path=str(version / FILE_NAMES[kind]), num_threads=threads)
        run = interpreter.get_signature_runner("serving_default")
        return lambda image: run(images=image)["label_map"]
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    return lambda image: signature(images=tf.constant(image))["label_map"].numpy()


def megabytes(folder: pathlib.Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--size", default="512x256", help="WIDTHxHEIGHT of the image")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2, help="of ONNX and LiteRT; TensorFlow takes all cores")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)

    runs, sizes, times, labels = {}, {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for form, choice in FORMS.items():
            try:
                version = exported(options.run, folder, options.size, choice)
                kind = choice[1] if "--format" in choice else "savedmodel"
                runs[form] = runner(version, kind, options.threads)
            except MsdaError as error:
                print(f"{form} left out: {error}", file=sys.stderr)
                continue
            sizes[form], times[form] = megabytes(version), []
            labels[form] = runs[form](image)
        for _ in range(options.repeat):
            for form, run in runs.items():
                start = time.perf_counter()
                run(image)
                times[form].append(time.perf_counter() - start)
    first = next(iter(runs))
    base = statistics.median(times[first])
    print(f"| {options.size} | size in MB | latency in ms | against the first | equal pixels |")
    print("|---|---:|---:|---:|---:|")
    for form in runs:
        median = statistics.median(times[form])
        # At another resolution the network sees another image.
        equal = "" if "--scale" in FORMS[form] else f"{100 * (labels[form] == labels[first]).mean():.2f} %"
        print(f"| {form} | {sizes[form]:.1f} | {1000 * median:.0f} | {median / base:.2f} | {equal} |")


if __name__ == "__main__":
    main()
