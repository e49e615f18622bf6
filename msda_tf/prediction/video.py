"""Segments videos, frame by frame.

Colours, overlays and confidence become videos of the same name, as MP4 (MPEG-4 Part 2, without sound); labels, which
no lossy format keeps, become numbered PNG files in a folder of that name. Videos of odd width or height, which MP4
does not know, get their last column or row twice.

What a video that breaks off gave is kept under another name: `drive.incomplete.mp4`, the folder `drive.incomplete`.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import tensorflow as tf

from msda_tf.errors import MsdaError, of_system
from msda_tf.evaluation import pictures
from msda_tf.image_files import film
from msda_tf.inference.stream import stream
from msda_tf.labels import ClassList
from msda_tf.prediction import container, results


def predict(
    source: pathlib.Path,
    output: pathlib.Path,
    segment: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    *,
    kinds: Sequence[str],
    classes: ClassList,
    legend: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, count: None,
) -> int:
    """Segments a video.

    Args:
      source: the video.
      output: for `drive.mp4` it receives `overlays/drive.mp4`, `labels/drive/000000.png` and so on.
      segment: of frames uint8 `[B, H, W, 3]` RGB, gives "labels" and, if asked for, "confidence" `[B, H, W]`.
      kinds: which of `results.KINDS`.
      classes: of the labels.
      legend: put names and colours of the classes below each frame of colours and overlays.
      on_progress: called with (frames done, number of frames, or 0 if the video does not tell).

    Returns:
      the number of frames.

    Raises:
      MsdaError: the file is no video that OpenCV reads, a result cannot be written, or the video breaks off: then what
        was read of it is there, marked as incomplete.
    """
    told = _look_into(source)
    with contextlib.ExitStack() as stack:
        capture = stack.enter_context(film.opened(source))
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if not capture.isOpened() or min(size) < 1:
            raise MsdaError(
                f"{source} cannot be read as a video: it is damaged, or of a kind that OpenCV does not know"
            )
        count, rate = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), capture.get(cv2.CAP_PROP_FPS)
        writers = {
            kind: stack.enter_context(
                _VideoFile(output / kind / f"{source.stem}.mp4", rate, _shown_size(kind, size, classes, legend))
            )
            for kind in kinds
            if kind != "labels"
        }
        labels = stack.enter_context(_LabelFolder(output / "labels" / source.stem)) if "labels" in kinds else None

        def write(item, image, maps):
            number, _ = item
            if labels:
                pictures.write_png(labels.unfinished / f"{number:06d}.png", maps["labels"])
            for kind, writer in writers.items():
                writer.append(results.picture(kind, image, maps, classes, legend=legend))

        done = 0

        def progress(finished):
            nonlocal done
            done = finished
            on_progress(finished, count)

        failed = stream(
            _frames(capture, source),
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
        due = told.frames if told.frames is not None else count if told.counts else 0
        whole = not told.is_cut and done >= due
        written = [each.finish(whole=whole) for each in (*writers.values(), *filter(None, [labels]))]
        if not whole:
            of_all = f" of {due or count}" if (due or count) > done else ""
            raise MsdaError(
                f"{source} breaks off: {done}{of_all} frames could be read, the rest is missing or damaged; their "
                f"results are marked as incomplete: {', '.join(map(str, written))}"
            )
    return done


def _shown_size(kind: str, size: tuple[int, int], classes: ClassList, legend: bool) -> tuple[int, int]:
    """(width, height) of what is shown of a frame of that size."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    maps = {"labels": image[..., 0], "confidence": image[..., 0]}
    height, width = results.picture(kind, image, maps, classes, legend=legend).shape[:2]
    return width, height


def _look_into(source: pathlib.Path) -> container.Container:
    try:
        told = container.read(source)
    except OSError as error:
        raise MsdaError(of_system(error)) from None
    if told.is_text:
        raise MsdaError(f"{source} is text, no video: expected an MP4, MOV, AVI, MKV or WebM file")
    return told


class _Frame(tuple):
    """(number, image uint8 `[H, W, 3]` RGB)."""

    def __str__(self):
        return f"frame {self[0]}"


def _frames(capture: cv2.VideoCapture, source: pathlib.Path) -> Iterator[_Frame]:
    number, shape = 0, None
    while True:
        there, frame = capture.read()
        if not there:
            return
        if shape not in (None, frame.shape):
            raise MsdaError(f"{source} changes its size at frame {number}: cut it in two there")
        shape = frame.shape
        yield _Frame((number, tf.constant(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))))
        number += 1


def _incomplete(path: pathlib.Path) -> pathlib.Path:
    """`drive.incomplete.mp4` of `drive.mp4`, `drive.incomplete` of the folder `drive`."""
    ending = path.suffix if path.suffix == ".mp4" else ""
    return path.with_name(f"{path.name.removesuffix(ending)}.incomplete{ending}")


class _VideoFile:
    """An MP4 file that appears when it is finished.

    Args:
      path: of the file; its folder is made.
      rate: frames in a second, as the source states it.
      size: (width, height) of its frames.
    """

    def __init__(self, path: pathlib.Path, rate: float, size: tuple[int, int]):
        self._path, self._frames = path, 0
        self._even = size[0] + size[0] % 2, size[1] + size[1] % 2
        self._stack = contextlib.ExitStack()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".video.{os.getpid()}.part.mp4")
        opened = f"{film.openable(path.parent, self._stack)}/{self._temporary.name}"
        # Damaged headers state rates at which the encoder never ends.
        rate = rate if 0.1 <= rate <= 1000 else 25.0
        self._writer = cv2.VideoWriter(opened, cv2.VideoWriter_fourcc(*"mp4v"), rate, self._even)
        self._opened = opened

    def __enter__(self) -> "_VideoFile":
        if not self._writer.isOpened():
            self.__exit__()
            raise MsdaError(f"{self._path} cannot be written: is the folder writable, and does this OpenCV write MP4?")
        return self

    def append(self, picture: np.ndarray) -> None:
        """Adds a frame, uint8 `[H, W]` or `[H, W, 3]` RGB."""
        bgr = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR)
        bottom, right = self._even[1] - picture.shape[0], self._even[0] - picture.shape[1]
        self._writer.write(cv2.copyMakeBorder(bgr, 0, bottom, 0, right, cv2.BORDER_REPLICATE))
        self._frames += 1

    def finish(self, *, whole: bool) -> pathlib.Path:
        """Gives the file its name; raises MsdaError if what was appended is not in it."""
        self._writer.release()
        # The encoder says nothing of a full disk.
        check = cv2.VideoCapture(self._opened, cv2.CAP_FFMPEG)
        there = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        if there != self._frames:
            raise MsdaError(f"{self._path} cannot be written to its end: is its disk full?")
        path = self._path if whole else _incomplete(self._path)
        with open(self._temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._temporary, path)
        if whole:
            _incomplete(self._path).unlink(missing_ok=True)
        return path

    def __exit__(self, *_) -> None:
        self._writer.release()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)
        self._stack.close()


class _LabelFolder:
    """A folder of label maps, marked as incomplete until it is finished.

    Attributes:
      unfinished: where they are written.
    """

    def __init__(self, path: pathlib.Path):
        self._path, self.unfinished = path, _incomplete(path)

    def __enter__(self) -> "_LabelFolder":
        self.unfinished.mkdir(parents=True, exist_ok=True)
        _remove_frames(self.unfinished)
        return self

    def finish(self, *, whole: bool) -> pathlib.Path:
        """Gives the folder its name if all labels are in it; those of another video of that name are replaced."""
        if not whole:
            return self.unfinished
        if self._path.is_dir():
            _remove_frames(self._path)
            for frame in self.unfinished.iterdir():
                os.replace(frame, self._path / frame.name)
            self.unfinished.rmdir()
        else:
            os.replace(self.unfinished, self._path)
        return self._path

    def __exit__(self, *_) -> None:
        pass


def _remove_frames(folder: pathlib.Path) -> None:
    """Removes what `predict` wrote: frames of a longer video would stay behind. What else is there is not ours."""
    for path in folder.iterdir():
        if re.fullmatch(r"\d{6,}\.png", path.name):
            path.unlink()
