"""Videos in and out, with a stub for the networks."""

import pathlib
import re

import cv2
import numpy as np
import pytest
import tensorflow as tf
from full_disk import files_of_at_most

from msda_tf.errors import MsdaError
from msda_tf.evaluation import pictures
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.prediction import video

RNG = np.random.default_rng(0)
GREYS = [20, 60, 100, 140, 180]


def write_video(path, size=(64, 48), rate=12.5, kind="mp4v", count=5, noise=1):
    """Frames of one grey each, brighter on the right half."""
    # OpenCV's own writer of MJPEG takes odd sizes.
    own = cv2.CAP_OPENCV_MJPEG if size[0] % 2 else cv2.CAP_FFMPEG
    writer = cv2.VideoWriter(str(path), own, cv2.VideoWriter_fourcc(*kind), rate, size)
    assert writer.isOpened()
    for grey in (GREYS * count)[:count]:
        frame = np.full((size[1], size[0], 3), grey, np.uint8)
        frame[:, size[0] // 2 :] += 60
        frame += RNG.integers(0, noise, frame.shape, np.uint8)
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


def predict(path, output, *kinds, segment=segment):
    return video.predict(path, output, segment, kinds=kinds or ["overlays"], classes=CITYSCAPES_CLASSES)


def test_a_legend_stands_below_each_frame(tmp_path):
    write_video(tmp_path / "drive.mp4", size=(400, 240))
    kinds = ("overlays", "confidence")
    video.predict(
        tmp_path / "drive.mp4", tmp_path / "out", segment, kinds=kinds, classes=CITYSCAPES_CLASSES, legend=True
    )
    overlays, confidence = (frames(tmp_path / "out" / kind / "drive.mp4") for kind in kinds)
    assert confidence.shape == (5, 240, 400, 3) and overlays.shape[1] > 260
    legends = overlays[:, 242:].astype(int)
    assert np.abs(legends - legends[0]).max() < 40 and (legends > 200).mean() > 0.5
    expected = pictures.with_legend(np.zeros((240, 400, 3), np.uint8), CITYSCAPES_CLASSES)[242:]
    assert np.abs(legends[0, : len(expected)] - expected).mean() < 12


def test_an_odd_size_is_made_even(tmp_path):
    write_video(tmp_path / "odd.avi", size=(33, 17), kind="MJPG")
    assert predict(tmp_path / "odd.avi", tmp_path / "out", "confidence") == len(GREYS)
    found = frames(tmp_path / "out/confidence/odd.mp4")
    assert found.shape == (len(GREYS), 18, 34, 3)
    assert abs(int(found[-1, -1, 0, 0]) - GREYS[-1]) < 12 and abs(int(found[-1, 0, -1, 0]) - GREYS[-1] - 60) < 12


@pytest.mark.parametrize("ending", ["avi", "mkv", "mov"])
def test_a_video_that_breaks_off_is_not_taken_for_whole(tmp_path, ending):
    path, output = tmp_path / f"drive.{ending}", tmp_path / "out"
    write_video(path, size=(96, 64), kind="MJPG", count=20, noise=15)  # headers are a small part
    whole = path.read_bytes()
    assert predict(path, output, "labels", "overlays") == 20
    for part in (0.9, 0.5):
        path.write_bytes(whole[: int(len(whole) * part)])
        if ending == "mov" and not cv2.VideoCapture(str(path)).isOpened():
            continue  # its index, which lies at its end, is missing: test_what_is_no_video_is_named
        with pytest.raises(MsdaError, match=rf"drive.{ending} breaks off: \d+ of 20 frames could be read") as error:
            predict(path, output, "labels", "overlays")
        done = int(re.search(r"(\d+) of 20", str(error.value))[1])
        assert 0 < done < 20
        assert len(list((output / "labels/drive.incomplete").iterdir())) == done
        assert len(frames(output / "overlays/drive.incomplete.mp4")) == done
    # What was made of the whole video is still there; made again, it takes the others' place.
    assert len(list((output / "labels/drive").iterdir())) == len(frames(output / "overlays/drive.mp4")) == 20
    path.write_bytes(whole)
    predict(path, output, "labels", "overlays")
    assert sorted(str(p.relative_to(output)) for p in output.glob("*/*")) == ["labels/drive", "overlays/drive.mp4"]


def test_an_index_before_the_frames_does_not_hide_that_they_are_missing(tmp_path):
    """As phones and web servers write MP4 ("faststart")."""
    path = tmp_path / "drive.mp4"
    write_video(path, count=20)
    whole = path.read_bytes()
    index, frames_ = whole.index(b"moov") - 4, whole.index(b"mdat") - 4
    assert frames_ < index
    moov = bytearray(whole[index:])
    at = moov.index(b"stco") + 8
    for number in range(int.from_bytes(moov[at : at + 4], "big")):
        place = slice(at + 4 + 4 * number, at + 8 + 4 * number)
        moov[place] = (int.from_bytes(moov[place], "big") + len(moov)).to_bytes(4, "big")
    fast = whole[:frames_] + bytes(moov) + whole[frames_:index]
    path.write_bytes(fast)
    assert predict(path, tmp_path / "out", "labels") == 20
    path.write_bytes(fast[:-400])
    with pytest.raises(MsdaError, match=r"drive.mp4 breaks off: 1?\d of 20 frames"):
        predict(path, tmp_path / "out", "labels")


def test_frames_of_a_longer_video_do_not_stay_behind(tmp_path):
    output = tmp_path / "out"
    write_video(tmp_path / "drive.mp4", count=9)
    predict(tmp_path / "drive.mp4", output, "labels")
    (output / "labels/drive/mine.txt").write_text("not of ours")
    write_video(tmp_path / "drive.mp4", count=3)
    predict(tmp_path / "drive.mp4", output, "labels")
    names = sorted(path.name for path in (output / "labels/drive").iterdir())
    assert names == ["000000.png", "000001.png", "000002.png", "mine.txt"]


@pytest.mark.parametrize("name", ["stra\udcdfe.avi", "a:b [1] %03d.avi", "-x.avi"])
def test_every_name_that_linux_allows(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "drive.avi", kind="MJPG")
    (tmp_path / "drive.avi").rename(name)
    folder = pathlib.Path("out\udcdf")
    assert predict(pathlib.Path(name), folder, "overlays", "labels") == len(GREYS)
    stem = pathlib.Path(name).stem
    assert [path.name for path in (folder / "overlays").iterdir()] == [f"{stem}.mp4"]
    assert len(list((folder / "labels" / stem).iterdir())) == len(GREYS)


def test_a_disk_that_is_full_is_noticed(tmp_path):
    """OpenCV's encoder says nothing of it."""
    rng = np.random.default_rng(0)

    def noise(images):
        return {"labels": tf.constant(rng.integers(0, 19, images.shape[:3], np.uint8))}

    write_video(tmp_path / "drive.mp4", size=(320, 240))
    with (
        files_of_at_most(20_000),
        pytest.raises(MsdaError, match="cannot be written to its end: is its disk full"),
    ):
        predict(tmp_path / "drive.mp4", tmp_path / "out", "colors", segment=noise)
    assert not list(tmp_path.rglob("out/*/*"))


def test_a_rate_that_no_encoder_takes(tmp_path):
    write_video(tmp_path / "drive.avi", kind="MJPG")
    data = bytearray((tmp_path / "drive.avi").read_bytes())
    at = data.index(b"strh") + 8 + 20
    data[at : at + 8] = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")  # scale 0, rate 1
    data[data.index(b"avih") + 8 :][:4] = bytes(4)
    (tmp_path / "drive.avi").write_bytes(data)
    assert predict(tmp_path / "drive.avi", tmp_path / "out") == len(GREYS)


def test_a_playlist_is_no_video(tmp_path):
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1\nhttp://127.0.0.1:1/a.ts\n")
    with pytest.raises(MsdaError, match="list.mp4 is text, no video"):
        predict(tmp_path / "list.mp4", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"\0no video", "half"])
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
