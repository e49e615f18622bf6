"""Does UNIT move images towards the target, and does a network trained on them segment the target better?

    python benchmarks/stylize.py FOLDER                       # everything, on generated data: under an hour on 2 cores
    python benchmarks/stylize.py FOLDER --seeds 1 --source synthia

Prepares the miniature data sets, trains UNIT (preset miniature), writes the stylised copy of the source, trains the
tiny segmentation network without adaptation on the raw source, on the stylised source and on the target's own labels,
and prints

- mean and standard deviation of each colour channel, raw, stylised and target, over the training images,
- Frechet distances to the target, on features of a fixed random network (no FID), and between the target's two halves,
- how far edges moved: the shift by which a frame's and its translation's edges fit best, by phase correlation,
- mIoU (19 classes, absent ones count 0) of the three kinds of networks on the target's test images, and on new frames
  of the source, raw and stylised. The network that learned the target finds its way on translations only if they look
  like the target and lie where the labels say;
- where labels fit best what a network of the raw source sees in translations: unmoved, if these kept their places.

Everything is kept in FOLDER; started again, it goes on where it stopped.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics

import cv2
import numpy as np
import tensorflow as tf

from msda_tf.cli.main import main as msda_tf
from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline
from msda_tf.evaluation import confusion, protocol
from msda_tf.experiment import oracle
from msda_tf.inference.members import Inference
from msda_tf.runs import trained
from msda_tf.stylize.frechet import frechet_distance, random_features
from msda_tf.stylize.grid import grid

TARGET = "cityscapes"


def training_images(manifest, limit=None):
    """uint8 `[N, H, W, 3]`: the training split in file order."""
    examples = pipeline.evaluation_images(manifest, manifest.training_split, limit=limit)
    return np.stack([example["image"].numpy() for example in examples])


def looks(sets: dict[str, np.ndarray]) -> None:
    """Prints means, deviations and distances of the images of each set; the last is the target."""
    names = list(sets)
    features = {name: random_features(images) for name, images in sets.items()}
    half = len(features[names[-1]]) // 2
    print("\n| images | mean R, G, B | deviation R, G, B | Frechet distance to the target |\n|---|---|---|---|")
    for name, images in sets.items():
        if name == names[-1]:
            distance = frechet_distance(features[name][:half], features[name][half:])
            shown = f"{distance:.3f} (its two halves)"
        else:
            shown = f"{frechet_distance(features[name], features[names[-1]]):.3f}"
        pixels = images.reshape(-1, 3).astype(np.float64)
        mean, deviation = ((", ".join(f"{v:.1f}" for v in row)) for row in (pixels.mean(0), pixels.std(0)))
        print(f"| {name} | {mean} | {deviation} | {shown} |")


def displacement(raw: np.ndarray, stylised: np.ndarray) -> None:
    """Prints by how many pixels the edges of translations lie beside those of their originals."""

    def edges(image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        return cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))

    window = cv2.createHanningWindow(raw.shape[2:0:-1], cv2.CV_32F)
    shifts = np.array([cv2.phaseCorrelate(edges(a), edges(b), window)[0] for a, b in zip(raw, stylised, strict=True)])
    right, down = np.median(shifts, 0)
    near = np.mean(np.hypot(*shifts.T) < 1)
    print(
        f"\nedges moved by {right:+.2f} pixels to the right and {down:+.2f} down (medians), less than 1 in {near:.0%}"
    )


def predicted(run: pathlib.Path, manifest, limit) -> tuple[np.ndarray, np.ndarray]:
    """(labels, what a run's network says) of a data set's evaluation split, with that data set's own mean: trainIds
    uint8 `[N, H, W]`."""
    networks = trained.load([run])
    members = [dataclasses.replace(member, mean=manifest.mean_rgb) for member in networks.inference.members]
    inference = Inference(members, rule=networks.inference.rule, merge_at=networks.inference.merge_at)
    segment = tf.function(inference.segment, reduce_retracing=True)
    examples = list(pipeline.evaluation_images(manifest, manifest.evaluation_split, limit=limit))
    labels = np.stack([example["label"].numpy() for example in examples])
    return labels, np.stack([segment(example["image"][None])[0].numpy() for example in examples])


def miou(labels, predictions, classes) -> float:
    """In percent, absent classes counted as 0."""
    matrix = confusion.confusion_matrix(labels, predictions, classes=len(classes), name="images")
    return 100 * protocol.score(matrix, classes).miou_all


def alignment(labels, predictions, classes, reach=2) -> None:
    """Prints where the labels of translations would fit best what a network sees that never saw a translation."""

    def kept(by):
        """What of the labels stays in the picture when they move; of the picture beneath them, kept(-by)."""
        return slice(max(0, -by), -by if by > 0 else None)

    def fit(right, down):
        return miou(labels[:, kept(down), kept(right)], predictions[:, kept(-down), kept(-right)], classes)

    steps = range(-reach, reach + 1)
    print("\nmIoU in % of raw network 0 on translations, if their labels lay further right (columns) and down (rows)\n")
    print("| |" + "".join(f" {right:+d} |" for right in steps) + "\n|---|" + "---:|" * len(steps))
    for down in steps:
        print(f"| {down:+d} |" + "".join(f" {fit(right, down):.2f} |" for right in steps))


def save_grid(path: pathlib.Path, raw, stylised, target, rows=4) -> None:
    """A picture of frames, what became of them, and frames of the target."""
    from PIL import Image

    chosen = [[images[i * len(images) // rows] for images in (raw, stylised, target)] for i in range(rows)]
    width = min(image.shape[1] for image in chosen[0])
    cut = [[image[:, :width] for image in row] for row in chosen]
    Image.fromarray(grid(cut, ("source", "stylised", "target"))).quantize(256).save(path, optimize=True)
    print(f"\npictures: {path}")


def run_all(commands) -> None:
    """Runs msda-tf with each list of arguments, as if they had been typed."""
    for command in commands:
        print("\n$ msda-tf " + " ".join(map(str, command)), flush=True)
        msda_tf([str(argument) for argument in command])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--source", default="gta5", choices=("gta5", "synthia"))
    parser.add_argument("--frames", type=int, default=120, help="training frames of each data set")
    parser.add_argument("--test-frames", type=int, default=40)
    parser.add_argument("--steps", type=int, default=1000, help="of each segmentation network")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--unit", type=pathlib.Path, help="use this stylize run, at whatever step it is")
    options = parser.parse_args()
    folder, source, stylised = options.folder, options.source, f"{options.source}_as_{TARGET}"
    data, unit = folder / "data", options.unit or folder / f"unit-{source}"
    generate = ["prepare", "--dataset", "miniature", "--test-frames", options.test_frames]
    preparing = [[*generate, "--train-frames", options.frames, "--output", data]]
    if options.unit is None:
        domains = ["--source", source, "--target", TARGET, "--data", data]
        preparing.append(["stylize", "train", *domains, "--preset", "miniature", "--run", unit])
    # The source's test frames are among its training frames, as GTA5's and SYNTHIA's: scores need frames of their own.
    unseen = folder / "unseen"
    preparing.append([*generate, "--train-frames", 1, "--seed", 1, "--output", unseen])
    preparing += [["stylize", "apply", "--run", unit, "--name", stylised, "--data", where] for where in (data, unseen)]
    run_all(preparing)
    labelled = folder / "labelled"
    oracle.link(data, TARGET, labelled)
    kinds = {
        "raw": (source, data),
        "stylised": (stylised, data),
        "oracle": (oracle.labelled_name(TARGET), labelled),
    }
    trainings = []
    for seed in range(options.seeds):
        for kind, (name, where) in kinds.items():
            training = ["--target", TARGET, "--sources", name, "--no-adapt", "--preset", "tiny", "--data", where]
            lengths = ["--steps", options.steps, "--seed", seed, "--set", "evaluate_every=0"]
            trainings.append(["train", *training, *lengths, "--run", folder / f"{kind}-{source}-{seed}"])
    run_all(trainings)

    sets = {name: manifests.find(data, name) for name in (source, stylised, TARGET)}
    pictures = {name: training_images(manifest) for name, manifest in sets.items()}
    looks(pictures)
    displacement(pictures[source], pictures[stylised])
    save_grid(folder / f"{stylised}.png", *pictures.values())
    sets |= {name: manifests.find(unseen, name) for name in (source, stylised)}
    scores = {kind: {name: [] for name in sets} for kind in kinds}
    for kind in kinds:
        for seed in range(options.seeds):
            for name, manifest in sets.items():
                maps = predicted(folder / f"{kind}-{source}-{seed}", manifest, options.test_frames)
                scores[kind][name].append(miou(*maps, manifest.classes))
                if (kind, seed, name) == ("raw", 0, stylised):
                    alignment(*maps, manifest.classes)
    print(f"\nmIoU in %, mean of {options.seeds} seeds (each in brackets)\n")
    print(f"| trained on | tested on {TARGET} | on new {source} | on new {stylised} |\n|---|---|---|---|")
    for kind, (name, _) in kinds.items():
        cells = [
            f"{statistics.mean(values):.2f} ({', '.join(f'{v:.2f}' for v in values)})"
            for values in (scores[kind][tested] for tested in (TARGET, source, stylised))
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    (folder / f"{stylised}.json").write_text(json.dumps(scores, indent=1) + "\n")


if __name__ == "__main__":
    main()
