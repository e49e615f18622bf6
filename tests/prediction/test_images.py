"""Finding, naming and decoding image files."""

import io
import os
import pathlib

import cv2
import numpy as np
import pytest
from PIL import Image

from msda_tf.errors import MsdaError, UsageError
from msda_tf.prediction import images

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def encoded(image, kind="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(tmp_path, data):
    path = tmp_path / "picture"
    path.write_bytes(data)
    content, pixels = images.read(path)
    assert content == data
    return pixels


def test_png_is_read_exactly_and_jpeg_as_pillow_reads_it(tmp_path):
    np.testing.assert_array_equal(read(tmp_path, encoded(Image.fromarray(RGB))), RGB)
    smooth = cv2.GaussianBlur(RGB.repeat(8, 0).repeat(8, 1), (0, 0), 5)
    data = encoded(Image.fromarray(smooth), "jpeg", quality=90, subsampling=0)
    np.testing.assert_array_equal(read(tmp_path, data), np.asarray(Image.open(io.BytesIO(data))))


def test_other_kinds_of_pixels(tmp_path):
    grey = RGB[..., 0]
    three = np.stack([grey] * 3, -1)
    np.testing.assert_array_equal(read(tmp_path, encoded(Image.fromarray(grey))), three)
    alpha = np.concatenate([RGB, RNG.integers(0, 256, (9, 13, 1), dtype=np.uint8)], -1)
    np.testing.assert_array_equal(read(tmp_path, encoded(Image.fromarray(alpha))), RGB)
    deep = RNG.integers(0, 65536, (9, 13, 3), dtype=np.uint16)
    data = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(read(tmp_path, data), deep >> 8)
    palette = Image.fromarray(RGB).quantize(16)
    np.testing.assert_array_equal(read(tmp_path, encoded(palette)), np.asarray(palette.convert("RGB")))


def test_exif_rotation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read(tmp_path, encoded(Image.fromarray(RGB), "jpeg", exif=exif)).shape == (9, 13, 3)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "empty file"),
        (b"GIF89a...", "neither a PNG nor a JPEG"),
        (b"hello", "neither a PNG nor a JPEG"),
        (encoded(Image.fromarray(RGB))[:200], "truncated PNG"),
        (encoded(Image.fromarray(RGB)).replace(PNG_END, b""), "truncated PNG"),
        (encoded(Image.fromarray(RGB), "jpeg")[:-40], "truncated JPEG"),
        (b"\x89PNG\r\n\x1a\n", "truncated PNG"),
        (b"\xff\xd8\xff", "damaged JPEG"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, data, reason):
    with pytest.raises(MsdaError, match=f"picture: .*{reason}"):
        read(tmp_path, data)


def test_find(tmp_path):
    for name in ("b.png", "a/frame.JPG", "a/notes.txt", ".thumbs/x.png", "a/.hidden.png", "z.jpeg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found, problems = images.find(tmp_path)
    assert [str(path) for path in found] == ["a/frame.JPG", "b.png", "z.jpeg"]
    assert not problems
    assert images.find(tmp_path / "b.png") == ([pathlib.PurePath("b.png")], [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no image"):
        images.find(tmp_path / "empty")
    with pytest.raises(UsageError, match="does not exist"):
        images.find(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        images.find(tmp_path / "pipe.png")
    (tmp_path / "empty/gone").symlink_to(tmp_path / "not mounted")
    found, problems = images.find(tmp_path / "empty")
    assert (found, [problem.path.name for problem in problems]) == ([], ["gone"])


@pytest.mark.parametrize(
    "names, results",
    [
        (["a.png", "b.jpg", "s/a.png"], ["a.png", "b.png", "s/a.png"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg.png", "a.png.png", "b.png"]),
        (["a.jpg", "a.png", "a.jpg.png"], ["a.jpg.png", "a.png.png", "a.jpg.png.png"]),
        (["A.png", "a.jpg"], ["A.png.png", "a.jpg.png"]),
    ],
)
def test_results_never_share_a_name(names, results):
    named = images.result_names([pathlib.PurePath(name) for name in names])
    assert [str(path) for path in named.values()] == results
