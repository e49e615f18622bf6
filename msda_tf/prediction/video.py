"""Segments videos, frame by frame.

Colours, overlays and confidence become videos of the same name, as MP4 (MPEG-4 Part 2, without sound); labels, which
no lossy format keeps, become numbered PNG files in a folder of that name. Videos of odd width or height, which MP4
does not know, get their last column or row twice.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.evaluation import pictures
from msda_tf.inference.stream import stream
from msda_tf.labels import ClassList
from msda_tf.prediction import results

ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")


def predict(
    source: pathlib.Path,
    output: pathlib.Path,
    segment: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    *,
    kinds: Sequence[str],
    classes: ClassList,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> int:
    """Segments a video.

    Args:
      source: the video.
      output: for `drive.mp4` it receives `overlays/drive.mp4`, `labels/drive/000000.png` and so on.
      segment: of frames uint8 `[B, H, W, 3]` RGB, gives "labels" and, if asked for, "confidence" `[B, H, W]`.
      kinds: which of `results.KINDS`.
      classes: of the labels.
      on_progress: called with (frames done, number of frames, or 0 if the video does not tell).

    Returns:
      the number of frames.

    Raises:
      MsdaError: the file is no video that OpenCV reads, or a result cannot be written.
    """
    with contextlib.ExitStack() as stack:
        capture = cv2.VideoCapture(str(source))
        stack.callback(capture.release)
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rate = capture.get(cv2.CAP_PROP_FPS)
        if not capture.isOpened() or min(size) < 1:
            raise MsdaError(
                f"{source} cannot be read as a video: it is damaged, or of a kind that OpenCV does not know"
            )
        writers = {
            kind: stack.enter_context(_video_writer(output / kind / f"{source.stem}.mp4", rate or 25.0, size))
            for kind in kinds
            if kind != "labels"
        }
        labels = output / "labels" / source.stem
        if "labels" in kinds:
            labels.mkdir(parents=True, exist_ok=True)

        def write(item, image, maps):
            number, _ = item
            if "labels" in kinds:
                pictures.write_png(labels / f"{number:06d}.png", maps["labels"])
            for kind, writer in writers.items():
                writer(results.picture(kind, image, maps, classes))

        count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        done = 0

        def progress(finished):
            nonlocal done
            done = finished
            on_progress(finished, count)

        failed = stream(
            _frames(capture),
            read=lambda item: item[1],
            segment=segment,
            write=write,
            # One thread each, for frames come and go in order.
            readers=1,
            writers=1,
            on_progress=progress,
        )
        if failed:
            raise MsdaError(f"{source}: {failed[0]}")
        if not done:
            raise MsdaError(f"{source} holds no frame that can be decoded: it is damaged")
    return done


class _Frame(tuple):
    """(number, image uint8 `[H, W, 3]` RGB)."""

    def __str__(self):
        return f"frame {self[0]}"


def _frames(capture: cv2.VideoCapture) -> Iterator[_Frame]:
    number = 0
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield _Frame((number, tf.constant(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))))
        number += 1


@contextlib.contextmanager
def _video_writer(path: pathlib.Path, rate: float, size: tuple[int, int]) -> Iterator[Callable[[np.ndarray], None]]:
    """Yields a function that appends a frame, uint8 `[H, W]` or `[H, W, 3]` RGB; the file appears when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    even = size[0] + size[0] % 2, size[1] + size[1] % 2
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), rate, even)
    if not writer.isOpened():
        raise MsdaError(f"{path} cannot be written: is the folder writable, and does this OpenCV write MP4?")

    def append(picture):
        bgr = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR)
        bottom, right = even[1] - picture.shape[0], even[0] - picture.shape[1]
        writer.write(cv2.copyMakeBorder(bgr, 0, bottom, 0, right, cv2.BORDER_REPLICATE))

    try:
        yield append
        writer.release()
        os.replace(temporary, path)
    finally:
        writer.release()
        temporary.unlink(missing_ok=True)
