"""Segments image files: label map, colours, overlay and confidence of each, at the image's own size."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from msda_tf.errors import UsageError
from msda_tf.evaluation import pictures
from msda_tf.image_files.headers import MAX_PIXELS
from msda_tf.inference.members import Inference
from msda_tf.inference.stream import stream
from msda_tf.prediction import images, results, submission, video
from msda_tf.runs import trained


@dataclass(frozen=True)
class Prediction:
    """What `predict` did.

    Attributes:
      done: number of images whose results were written.
      skipped: number of images whose results were there.
      failed: one message for each image that could not be segmented, and for each folder that could not be looked at.
      notes: what whoever sees the results must know of the weights.
    """

    done: int
    skipped: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]


def predict(
    directories: Sequence[str | pathlib.Path],
    source: str | pathlib.Path,
    output: str | pathlib.Path,
    *,
    kinds: Sequence[str] = results.DEFAULT_KINDS,
    for_submission: bool = False,
    resume: bool = False,
    flip: bool = False,
    merge: str | None = None,
    select: str | None = None,
    branches: Sequence[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> Prediction:
    """Segments an image, all images of a folder and its sub-folders, or a video.

    For the image `a/frame.png` it writes `labels/a/frame.png`, `colors/a/frame.png` and so on (see
    `images.result_names`). An image that cannot be read does not stop the others. For videos see
    `msda_tf.prediction.video`.

    Args:
      directories: run directories, merged.
      source: a PNG, JPEG or video file, or a folder of images.
      output: the folder to write to; what is there of an earlier run is replaced.
      kinds: which of `results.KINDS`.
      for_submission: write labelIds for Cityscapes' benchmark server instead (see `msda_tf.prediction.submission`).
      resume: leave images alone whose results are there.
      flip: average over the image and its mirror image.
      merge: one of `msda_tf.inference.merge.RULES`; the runs' own by default.
      select: "last" or "best" checkpoint; each run's own choice by default.
      branches: shown names of the branches to merge; all that were adapted by default.
      max_pixels: larger images are refused before they are decoded; their headers tell.
      on_progress: called with (images done, number of images, or 0 if it is not known).

    Raises:
      UsageError: see `trained.load`; or there is no image, or `output` lies in `source`.
      MsdaError: a run is damaged, or a video cannot be read.
    """
    source, output = pathlib.Path(source), pathlib.Path(output)
    is_video = source.suffix.lower() in video.ENDINGS and source.is_file()
    if is_video and (for_submission or resume):
        raise UsageError(f"{source} is a video, which has neither a submission nor anything to resume: leave that out")
    found, problems = ([], []) if is_video else images.find(source)
    images.check_output(source, output)
    if for_submission:
        paths = {image: {results.LABEL_IDS: output / name} for image, name in submission.names(found).items()}
    else:
        names = images.result_names(found)
        paths = {image: {kind: output / kind / name for kind in kinds} for image, name in names.items()}
    todo = [image for image in found if not (resume and all(path.is_file() for path in paths[image].values()))]

    networks = trained.load(directories, merge=merge, select=select, branches=branches, only_merged=True)
    classes = networks.classes
    if for_submission:
        submission.check_classes(classes)
    inference = dataclasses.replace(networks.inference, flip=flip)
    segment = segment_function(
        inference, confidence="confidence" in kinds, size=submission.SIZE if for_submission else None
    )
    output.mkdir(parents=True, exist_ok=True)
    if is_video:
        done = video.predict(source, output, segment, kinds=kinds, classes=classes, on_progress=on_progress)
        return Prediction(done, 0, (), tuple(networks.notes()))
    root = source.parent if source.is_file() else source

    def write(image, pixels, maps):
        for kind, path in paths[image].items():
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures.write_png(path, results.picture(kind, pixels, maps, classes))

    failed = stream(
        todo,
        read=lambda image: tf.constant(images.read(root / image, max_pixels=max_pixels)[1]),
        segment=segment,
        write=write,
        on_progress=lambda done: on_progress(done, len(todo)),
    )
    unseen = [f"{problem.path}: {problem.reason}" for problem in problems]
    return Prediction(len(todo) - len(failed), len(found) - len(todo), (*unseen, *failed), tuple(networks.notes()))


def segment_function(inference: Inference, *, confidence: bool = False, size: tuple[int, int] | None = None):
    """A compiled function of uint8 RGB images `[B, H, W, 3]` of any size.

    It gives trainIds uint8 `[B, H, W]` under "labels" and, if asked for, float32 `[B, H, W]` under "confidence".
    `size` is the (height, width) of the maps if not the images' own.
    """

    def segment(images):
        if confidence:
            labels, sureness = inference.segment_with_confidence(images)
            return {"labels": labels, "confidence": sureness}
        return {"labels": inference.segment(images, size)}

    return tf.function(segment, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)], autograph=False)
