"""At which scale does a run segment its target best, and how sure is it there?

    python benchmarks/context_scale.py runs/start
    python benchmarks/context_scale.py runs/start --scales 0.5,0.75,1,1.25 --every 4

Resizes every n-th of the target's labelled images, takes the mean of the branches' probabilities, and scores it at the
labels' size: what a teacher that also looks at the whole image (`pseudo_context`) would have to say at each scale, and
at the run's own and each of the others together. Sureness needs no label.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from msda_tf.data import manifest as manifests
from msda_tf.data import pipeline
from msda_tf.data.transforms import resize_image
from msda_tf.evaluation.confusion import class_iou, confusion_matrix
from msda_tf.inference import merge
from msda_tf.runs import trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--scales", default="0.5,0.75,1,1.25,1.5")
    parser.add_argument("--every", type=int, default=4)
    arguments = parser.parse_args()
    scales = [float(scale) for scale in arguments.scales.split(",")]
    run = trained.load([arguments.run])
    manifest = manifests.find(run.runs[0].config.data, run.target)
    classes = len(manifest.classes)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)])
    def probabilities(image, size):
        """Mean of the branches', float32 `[H, W, C]`."""
        mean = merge.merge_scores(run.inference.logits(image[None]).values(), "mean-probability")
        return tf.image.resize(mean, size)[0]

    looks = {f"{scale:g}": (scale,) for scale in scales} | {f"1 and {s:g}": (1.0, s) for s in scales if s != 1}
    matrices = dict.fromkeys(looks, 0)
    sureness = {name: [] for name in looks}
    for example in pipeline.evaluation_images(manifest, manifest.evaluation_split).shard(arguments.every, 0):
        label, size = example["label"].numpy(), tf.shape(example["label"])
        own = {}
        for scale in {*scales, 1.0}:
            scaled = tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32)
            own[scale] = probabilities(resize_image(example["image"], scaled), size).numpy()
        for name, seen in looks.items():
            mean = np.mean([own[scale] for scale in seen], axis=0)
            predicted, image = mean.argmax(axis=-1).astype(np.uint8), os.fsdecode(example["filename"].numpy())
            matrices[name] = matrices[name] + confusion_matrix(label, predicted, classes=classes, name=image)
            sureness[name].append(mean.max(axis=-1).mean())
    print("| scale | mean probability of the class, % | mean IoU of the classes that labels show, % |\n|---|---:|---:|")
    for name in looks:
        shown = matrices[name].sum(axis=1) > 0
        miou = np.mean(class_iou(matrices[name])[shown])
        print(f"| {name} | {100 * np.mean(sureness[name]):.1f} | {100 * miou:.1f} |", flush=True)


if __name__ == "__main__":
    main()
