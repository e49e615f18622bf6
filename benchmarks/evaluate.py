"""Counting a test set: msda-tf beside cityscapesScripts' own evaluation, on the same PNG files.

    python benchmarks/evaluate.py                    # 12 pairs of 2048x1024
    python benchmarks/evaluate.py --images 50 --jobs 2

Writes street-like ground truth and predictions as labelId PNGs into a temporary folder, counts them by both,
alternating image by image, checks that the two confusion matrices are equal to the last pixel, and prints

- counting: from two arrays in memory to the confusion matrix,
- from files: the same with decoding both PNGs, which both sides do once per image,
- from files, parallel: ours in as many threads as --jobs says (decoding and counting release Python's lock).

cityscapesScripts runs its Python path (its wheels carry no compiled one), without the instance-level score, which
msda-tf does not have.
"""

import argparse
import concurrent.futures
import pathlib
import statistics
import sys
import tempfile
import time

import cv2
import numpy as np
from PIL import Image

from msda_tf.evaluation.confusion import class_iou, confusion_matrix, empty
from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_ID_COLORS, CITYSCAPES_IDS, CITYSCAPES_IGNORED_IDS, id_lookup

CLASSES = len(CITYSCAPES_CLASSES)
TO_TRAIN_ID = id_lookup(CITYSCAPES_IDS, CITYSCAPES_IGNORED_IDS)[:256].astype(np.uint8)


def street(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 `[height, width]` labelIds: regions with ragged outlines, all evaluated classes and some ignored ones."""
    ids = np.array(sorted(set(CITYSCAPES_ID_COLORS) - {34}), np.uint8)
    coarse = generator.choice(ids, (height // 64 + 1, width // 64 + 1))
    coarse[: height // 160] = 23  # sky
    coarse[-height // 200 :] = 7  # road
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    shifts = []
    for _ in "xy":
        noise = generator.normal(0, 1, (height // 4, width // 4)).astype(np.float32)
        shifts.append(cv2.resize(cv2.GaussianBlur(noise, (0, 0), 3), (width, height)) * 250)
    big = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return cv2.remap(big, columns + shifts[0], rows + shifts[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)


def predicted(generator: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """A prediction of labelIds: the truth at an eighth of its size, a tenth of it wrong, some of it ignored ids."""
    height, width = truth.shape
    small = truth[::8, ::8].copy()
    wrong = generator.random(small.shape) < 0.1
    small[wrong] = generator.choice(np.array([*CITYSCAPES_IDS, 0, 4], np.uint8), wrong.sum())
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def ours_from_files(pair: tuple[str, str]) -> np.ndarray:
    truth, guess = (cv2.LUT(cv2.imread(path, cv2.IMREAD_UNCHANGED), TO_TRAIN_ID) for path in pair)
    return confusion_matrix(truth, guess, classes=CLASSES, name=pair[0])


def seconds(function, *arguments):
    start = time.perf_counter()
    value = function(*arguments)
    return time.perf_counter() - start, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    try:
        from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as script
    except ImportError:
        sys.exit("benchmarks/evaluate.py needs cityscapesscripts: pip install 'msda-tf[test]'")
    script.args.evalInstLevelScore = False
    cv2.setNumThreads(1)

    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        pairs = []
        for index in range(options.images):
            truth = street(generator, options.height, options.width)
            pair = [str(pathlib.Path(folder, f"town_000000_{index:06}_{kind}.png")) for kind in ("truth", "guess")]
            cv2.imwrite(pair[0], truth)
            cv2.imwrite(pair[1], predicted(generator, truth))
            pairs.append(tuple(pair))

        def theirs_from_files(pair):
            script.evaluatePair(pair[1], pair[0], their_matrix, None, {}, script.args)

        their_matrix, our_matrix = script.generateMatrix(script.args), empty(CLASSES)
        times = {"their decoding": [], "their total": [], "our counting": [], "our total": []}
        for pair in pairs:
            times["their total"].append(seconds(theirs_from_files, pair)[0])
            # Their function decodes and counts in one: the counting is the rest.
            times["their decoding"].append(seconds(lambda: [np.array(Image.open(path)) for path in pair])[0])  # noqa: B023
            total, matrix = seconds(ours_from_files, pair)
            times["our total"].append(total)
            our_matrix += matrix
            arrays = [TO_TRAIN_ID[cv2.imread(path, cv2.IMREAD_UNCHANGED)] for path in pair]
            count = seconds(lambda: confusion_matrix(*arrays, classes=CLASSES))[0]  # noqa: B023
            times["our counting"].append(count)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            parallel, matrices = seconds(lambda: list(pool.map(ours_from_files, pairs)))

    ids = list(CITYSCAPES_IDS)
    their_rows = their_matrix[ids].astype(np.int64)
    equal = (
        np.array_equal(our_matrix[:, :CLASSES], their_rows[:, ids])
        and np.array_equal(our_matrix.sum(axis=1), their_rows.sum(axis=1))
        and np.array_equal(sum(matrices), our_matrix)
        and np.array_equal(
            class_iou(our_matrix), [script.getIouScoreForLabel(i, their_matrix, script.args) for i in ids]
        )
    )
    median = {name: 1000 * statistics.median(values) for name, values in times.items()}
    counting = median["their total"] - median["their decoding"]
    rows = [
        ("counting", counting, median["our counting"]),
        ("from files", median["their total"], median["our total"]),
        (f"from files, {options.jobs} threads", median["their total"], 1000 * parallel / len(pairs)),
    ]
    print(f"{len(pairs)} pairs of {options.width}x{options.height}, median milliseconds per image")
    print(f"{'':24}{'cityscapesScripts':>18}{'msda-tf':>10}{'ratio':>8}")
    for name, their, our in rows:
        print(f"{name:24}{their:18.2f}{our:10.2f}{their / our:8.1f}")
    pixels = int(our_matrix.sum())
    print(f"{pixels:,} pixels counted, {int(our_matrix[:, -1].sum()):,} of them predicted as no class")
    print("matrices and class IoUs: " + ("equal" if equal else "DIFFERENT"))
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
