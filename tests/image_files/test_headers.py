"""Headers against Pillow's own writing, and every way a file can be broken."""

import io
import os

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from raw_sets import image

from msda_tf.image_files import headers
from msda_tf.image_files.headers import BadFrame, Header


def _encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


PNG = _encoded(Image.fromarray(image(0)), "PNG")
JPEG = _encoded(Image.fromarray(image(0)), "JPEG")


@pytest.mark.parametrize(
    ("mode", "color", "bits"),
    [("RGB", "rgb", 8), ("RGBA", "rgba", 8), ("L", "grey", 8), ("LA", "grey+alpha", 8), ("P", "palette", 8)]
    + [("1", "grey", 1), ("I;16", "grey", 16)],
)
def test_png(tmp_path, mode, color, bits):
    path = tmp_path / "a.PNG"
    picture = Image.fromarray(np.zeros((65, 129), np.uint16)) if mode == "I;16" else Image.new(mode, (129, 65))
    if mode == "P":
        picture.putpalette(bytes(768))
    path.write_bytes(_encoded(picture, "PNG"))
    assert headers.read(path) == Header("png", 65, 129, bits, color)
    headers.check_whole(path.read_bytes())


@pytest.mark.parametrize(("mode", "color"), [("RGB", "rgb"), ("L", "grey"), ("CMYK", "cmyk")])
def test_jpeg(tmp_path, mode, color):
    path = tmp_path / "a.jpg"
    Image.new(mode, (129, 65)).save(path)
    assert headers.read(path) == Header("jpeg", 65, 129, 8, color)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty file"),
        (b"GIF89a", "neither a PNG nor a JPEG"),
        (b"<html>404</html>" * 9, "neither a PNG nor a JPEG"),
        (PNG[:20], "truncated PNG"),
        (PNG[: len(PNG) // 2], "truncated PNG"),
        (PNG[:-1], "truncated PNG"),
        (PNG[:16] + b"\0" * 8 + PNG[24:], "impossible header"),
        (JPEG, "a JPEG file named .png"),
        (JPEG[:10], "damaged JPEG"),
    ],
)
def test_what_is_said_of_bad_files(tmp_path, content, said):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(BadFrame, match=said):
        headers.read(path)


def test_png_named_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(PNG)
    with pytest.raises(BadFrame, match="a PNG file named .jpg"):
        headers.read(path)


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "folder.png").mkdir()
    for name, said in (("link.png", "broken symbolic link to .*gone.png"), ("folder.png", "Is a directory")):
        with pytest.raises(BadFrame, match=said):
            headers.read(tmp_path / name)
        with pytest.raises(BadFrame, match=said):
            headers.read_file(tmp_path / name)
    with pytest.raises(BadFrame, match="No such file"):
        headers.read(tmp_path / "none.png")


def test_every_flipped_byte_of_a_png_is_noticed():
    tiny = _encoded(Image.fromarray(image(0, 3, 5)), "PNG")
    headers.check_whole(tiny)
    for position in range(8, len(tiny)):
        damaged = bytearray(tiny)
        damaged[position] ^= 0x10
        with pytest.raises(BadFrame, match="damaged PNG|truncated PNG"):
            headers.check_whole(bytes(damaged))


@pytest.mark.parametrize("cut", [1, 11, 12, 13, 200])
def test_a_cut_png_is_noticed(cut):
    with pytest.raises(BadFrame, match="truncated PNG"):
        headers.check_whole(PNG[:-cut])


def test_bytes_after_the_end_are_harmless(tmp_path):
    headers.check_whole(PNG + b"trailing bytes of some tool")
    path = tmp_path / "a.png"
    path.write_bytes(PNG + b"trailing bytes of some tool")
    assert headers.read(path).width == 129


def test_a_damaged_comment_is_harmless():
    """As for libpng, which TensorFlow and OpenCV decode with."""
    text = PngInfo()
    text.add_text("Comment", "drawn by hand")
    content = bytearray(_encoded(Image.fromarray(image(0)), "PNG", pnginfo=text))
    content[content.index(b"hand")] ^= 1
    headers.check_whole(bytes(content))
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], image(0))


def test_a_jpeg_that_has_lost_its_end_is_noticed(tmp_path):
    path = tmp_path / "a.jpg"
    for content in (JPEG[:-2], JPEG[:-1], JPEG[: len(JPEG) // 2]):
        path.write_bytes(content)
        with pytest.raises(BadFrame, match="truncated JPEG"):
            headers.read(path)
    path.write_bytes(JPEG + bytes(2**20))
    assert headers.read(path).width == 129


def test_nothing_but_a_regular_file_is_opened(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name in ("a.png", "b.png"):
        for reader in (headers.read, headers.read_file):
            with pytest.raises(BadFrame, match="Not a regular file"):
                reader(tmp_path / name)


def test_a_file_too_long_for_its_pixels_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    os.truncate(path, 2**40)  # takes no disk
    with pytest.raises(BadFrame, match="Longer than 67108872 bytes"):
        headers.read_file(path, max_pixels=1)
    with pytest.raises(BadFrame, match="Longer than"):
        headers.read(path)
