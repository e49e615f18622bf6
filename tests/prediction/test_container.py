"""What containers of videos say of their frames, against files that OpenCV's FFmpeg writes."""

import cv2
import numpy as np
import pytest

from msda_tf.prediction import container

COUNT = 20


@pytest.fixture(scope="module", params=["mp4", "mov", "avi", "mkv"])
def video(request, tmp_path_factory):
    """(path, content) of a video of 20 frames, some of them key frames."""
    path = tmp_path_factory.mktemp("video") / f"drive.{request.param}"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(COUNT):
        writer.write(rng.integers(0, 40, (48, 64, 3), np.uint8))
    writer.release()
    return path, path.read_bytes()


def test_a_whole_video(video):
    path, _ = video
    told = container.read(path)
    assert not told.is_cut and not told.is_text
    assert told.frames == COUNT if path.suffix == ".mkv" else told.counts


def test_every_cut_is_noticed(video, tmp_path):
    path, data = video
    cut = tmp_path / path.name
    unnoticed = []
    for length in range(12, len(data), 97):
        cut.write_bytes(data[:length])
        if not container.read(cut).is_cut:
            unnoticed.append(length)
    # Where one part ends and the next one has not begun: MP4 without its index is no video.
    assert len(unnoticed) <= 1


def test_a_film_that_was_trimmed_without_being_encoded_again(tmp_path):
    """Its header counts frames that are not shown: the count cannot be relied on."""
    path = tmp_path / "trimmed.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for grey in range(COUNT):
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    assert container.read(path).counts
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # behind version, flags and the number of entries: the duration of the first
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") // 2).to_bytes(4, "big")
    path.write_bytes(data)
    told = container.read(path)
    assert not told.counts and not told.is_cut
    capture, shown = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        shown += 1
    assert shown == COUNT // 2 and capture.get(cv2.CAP_PROP_FRAME_COUNT) == COUNT


def test_damage_ends_in_an_answer(video, tmp_path):
    path, data = video
    rng, damaged = np.random.default_rng(1), tmp_path / path.name
    for _ in range(300):
        content = bytearray(data)
        start = int(rng.integers(4, len(data) - 64))
        content[start : start + 64] = rng.integers(0, 256, int(rng.integers(0, 65)), np.uint8).tobytes()
        damaged.write_bytes(content)
        container.read(damaged)


def element(kind, content, size=None):
    """An EBML element whose length takes eight bytes."""
    return bytes.fromhex(kind) + (size or (1 << 56 | len(content)).to_bytes(8, "big")) + content


UNKNOWN = b"\x01" + b"\xff" * 7


@pytest.mark.parametrize("size", [None, UNKNOWN])
def test_frames_of_a_matroska_stream_are_counted(tmp_path, size):
    """Also of live streams, which do not know their length; sound and frames that are not shown do not count."""
    track = {kind: element("ae", element("d7", bytes([kind])) + element("83", bytes([kind]))) for kind in (1, 2)}
    shown, sound, hidden = (b"\x81\0\0\x80" + b"x" * 9, b"\x82\0\0\x80" + b"x" * 9, b"\x81\0\0\x08" + b"x" * 9)
    blocks = [element("a3", block) for block in (shown, sound, hidden, shown)]
    blocks.append(element("a0", element("a1", shown)))
    cluster = element("1f43b675", element("e7", b"\0") + b"".join(blocks), size)
    segment = element("18538067", element("1654ae6b", track[2] + track[1]) + cluster + cluster, size)
    path = tmp_path / "live.webm"
    path.write_bytes(element("1a45dfa3", b"") + segment)
    assert container.read(path).frames == 6
    path.write_bytes(path.read_bytes()[:-3])
    assert container.read(path).is_cut


def test_text_is_no_video(tmp_path):
    (tmp_path / "list.mp4").write_text("#EXTM3U\nhttp://host/a.ts\n")
    assert container.read(tmp_path / "list.mp4").is_text
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert container.read(tmp_path / "empty.mp4") == container.Container()
