"""Videos in and out, with a stub for the networks."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from msda_tf.errors import MsdaError
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.prediction import video

GREYS = [20, 60, 100, 140, 180]


def write_video(path, size=(64, 48), rate=12.5):
    """Frames of one grey each, brighter on the right half."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    for grey in GREYS:
        frame = np.full((size[1], size[0], 3), grey, np.uint8)
        frame[:, size[0] // 2 :] += 60
        writer.write(frame)
    writer.release()


def frames(path):
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return np.array(found)
        found.append(frame[..., ::-1])


def segment(images):
    """Class = grey level / 20."""
    labels = tf.cast(tf.round(tf.cast(images[..., 0], tf.float32) / 20), tf.uint8)
    return {"labels": labels, "confidence": tf.cast(images[..., 0], tf.float32) / 255}


def test_all_kinds_of_results(tmp_path):
    write_video(tmp_path / "drive.mp4")
    seen = []
    done = video.predict(
        tmp_path / "drive.mp4",
        tmp_path / "out",
        segment,
        kinds=("labels", "colors", "overlays", "confidence"),
        classes=CITYSCAPES_CLASSES,
        on_progress=lambda *state: seen.append(state),
    )
    assert done == 5 and seen == [(number, 5) for number in range(1, 6)]
    labels = sorted((tmp_path / "out/labels/drive").iterdir())
    assert [path.name for path in labels] == [f"{number:06d}.png" for number in range(5)]
    for path, grey in zip(labels, GREYS, strict=True):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (48, 64)
        assert (picture[24, 10], picture[24, 50]) == (round(grey / 20), round((grey + 60) / 20))
    colors, overlays, confidence = (
        frames(tmp_path / "out" / kind / "drive.mp4") for kind in ("colors", "overlays", "confidence")
    )
    assert colors.shape == overlays.shape == confidence.shape == (5, 48, 64, 3)
    for number, grey in enumerate(GREYS):
        color = np.array(CITYSCAPES_CLASSES.colors[round(grey / 20)])
        # Lossy, with colours at half the resolution: close is all there is.
        assert np.abs(colors[number, 24, 10] - color).max() < 12
        assert np.abs(overlays[number, 24, 10] - (color + grey) / 2).max() < 12
        assert np.abs(confidence[number, 24, 10].astype(int) - grey).max() < 12
    assert cv2.VideoCapture(str(tmp_path / "out/colors/drive.mp4")).get(cv2.CAP_PROP_FPS) == 12.5
    assert not list(tmp_path.rglob("*.part*"))


def test_an_odd_size_is_made_even(tmp_path):
    with video._video_writer(tmp_path / "odd.mp4", 10, (33, 17)) as append:
        append(np.full((17, 33, 3), 200, np.uint8))
    (frame,) = frames(tmp_path / "odd.mp4")
    assert frame.shape == (18, 34, 3) and frame.min() > 190


@pytest.mark.parametrize("content", [b"", b"no video", "half"])
def test_what_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "drive.mp4"
    write_video(path)
    path.write_bytes(path.read_bytes()[:900] if content == "half" else content)
    with pytest.raises(MsdaError, match="drive.mp4 .*damaged"):
        video.predict(path, tmp_path / "out", segment, kinds=["overlays"], classes=CITYSCAPES_CLASSES)
    assert not list(tmp_path.rglob("out/*/*"))


def test_a_failure_leaves_no_half_video(tmp_path):
    write_video(tmp_path / "drive.mp4")

    def failing(images):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    with pytest.raises(MsdaError, match="drive.mp4: frame 0: 64x48 pixels do not fit"):
        video.predict(tmp_path / "drive.mp4", tmp_path / "out", failing, kinds=["overlays"], classes=CITYSCAPES_CLASSES)
    assert not list(tmp_path.rglob("out/*/*"))
