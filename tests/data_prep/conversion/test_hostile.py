"""One bad file does not end a conversion, and any name that Linux allows goes through it."""

import csv
import io
import json
import os
import struct

import image_kinds
import numpy as np
import pytest
import raw_sets
from PIL import Image

from msda_tf.data import records, tfrecord
from msda_tf.data.writing.images import Storage
from msda_tf.data_prep.conversion import convert
from msda_tf.data_prep.conversion.verify import verify
from msda_tf.data_prep.labels.polygon_labels import PolygonLabels
from msda_tf.data_prep.readers import custom, description, folder
from msda_tf.errors import MsdaError
from msda_tf.image_files.headers import BadFrame

NAMES = [
    b"stra\xdfe",
    b"line\nbreak",
    b"\x1b[31mred",
    b"[old]",
    b"=cmd()",
    b'a,b"c',
    b"\xe2\x80\xaeturned",
    b" ",
    b"-x",
]


YAML = """
name: c
splits: {train: {images: im/*.png, labels: gt/*.png}}
classes: [{name: a, color: [1, 1, 1]}, {name: b, color: [2, 2, 2]}]
"""


def _png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _stored(directory):
    return [records.from_example(each) for path in sorted(directory.glob("*.tfrecord")) for each in tfrecord.read(path)]


def test_every_bad_file_is_a_rejected_frame(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    (root / "good.png").write_bytes(_png(raw_sets.image(0)))
    bad = image_kinds.bad_files()
    for number, data in enumerate(bad.values()):
        ending = "jpg" if data.startswith(image_kinds.JPEG_START) else "png"
        (root / f"{number}.{ending}").write_bytes(data)
    os.mkfifo(root / "pipe.png")
    (root / "zero.png").symlink_to("/dev/zero")
    prepared = convert.prepare(folder.find(root), output=tmp_path, name="a", on_error="skip", max_pixels=10**6)
    assert prepared.manifest.splits["train"].examples == 1
    assert len(prepared.rejected) == len(bad) + 2
    reasons = {os.path.basename(each.file): each.reason for each in prepared.rejected}
    assert (
        reasons["pipe.png"]
        == reasons["zero.png"]
        == ("cannot be read: Not a regular file, but a pipe, socket or device")
    )
    with pytest.raises(MsdaError, match=r"\d+ frames cannot be used, first .*: empty file"):
        convert.prepare(folder.find(root), output=tmp_path, name="b", max_pixels=10**6)


def test_a_file_of_any_length_is_refused_at_once(tmp_path):
    """Sparse files of 4 TB: neither their pixels nor their content for a later comparison are read."""
    root = tmp_path / "raw"
    root.mkdir()
    for name, data in {"a.png": _png(raw_sets.image(0)), "b.png": b"", "c.jpg": b""}.items():
        (root / name).write_bytes(data)
        if not data or name != "a.png":
            os.truncate(root / name, 2**42)
    (root / "d.png").write_bytes(_png(raw_sets.image(0)))
    os.truncate(root / "d.png", 2**42)
    for _ in range(2):
        prepared = convert.prepare(folder.find(root), output=tmp_path, name="a", on_error="skip")
        assert prepared.manifest.splits["train"].examples == 1 and len(prepared.rejected) == 3


def test_a_panorama_needs_the_limit_raised(tmp_path):
    root = tmp_path / "raw"
    root.mkdir()
    Image.new("L", (200, 100)).save(root / "wide.png")
    ask = {"output": tmp_path, "name": "a"}
    with pytest.raises(MsdaError, match="200x100 pixels, more than the 19999 that are allowed: .* raise --max-pixels"):
        convert.prepare(folder.find(root), **ask, max_pixels=19999)
    prepared = convert.prepare(folder.find(root), **ask, max_pixels=20000)
    assert prepared.manifest.options["max_pixels"] == 20000
    assert verify(prepared.manifest) == 1


def test_any_name_goes_from_listing_to_report(tmp_path):
    root = tmp_path / "raw"
    for part in ("im", "gt"):
        (root / part).mkdir(parents=True)
    for number, name in enumerate(NAMES):
        for part, pixels in (("im", raw_sets.image(number)), ("gt", raw_sets.ids(number, (0, 1)))):
            with open(os.path.join(os.fsencode(root / part), name + b".png"), "wb") as file:
                file.write(_png(pixels))
    with open(os.path.join(os.fsencode(root / "im"), b"b\xe4d\x1b.png"), "wb"):
        pass
    (tmp_path / "c.yaml").write_text(YAML)
    raw = custom.find(root, description.read(tmp_path / "c.yaml"))
    with pytest.raises(MsdaError, match=r"im/b\\xe4d\\x1b.png: image without label"):
        convert.prepare(raw, output=tmp_path, name="a")
    prepared = convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    assert verify(prepared.manifest) == len(NAMES)
    stored = {os.fsencode(record.filename) for record in _stored(tmp_path / "a")}
    assert stored == {b"im/" + name + b".png" for name in NAMES}
    report = (tmp_path / "a/rejected.csv").read_bytes()
    assert b"\x1b" not in report and report.isascii()
    assert list(csv.reader(io.StringIO(report.decode())))[1][0] == r"im/b\xe4d\x1b.png"
    again = convert.prepare(raw, output=tmp_path, name="a", on_error="skip")
    assert (again.reused, len(again.rejected)) == (1, 1)


def test_a_bad_frame_of_such_a_name(tmp_path):
    (tmp_path / "raw").mkdir()
    for name, data in ((b"good.png", _png(raw_sets.image(0))), (b"\xdf\n.png", b"")):
        with open(os.path.join(os.fsencode(tmp_path / "raw"), name), "wb") as file:
            file.write(data)
    raw = folder.find(tmp_path / "raw")
    with pytest.raises(MsdaError) as caught:
        convert.prepare(raw, output=tmp_path, name="a")
    assert r"\xdf\n.png: empty file" in str(caught.value) and "\n" not in str(caught.value)
    assert convert.prepare(raw, output=tmp_path, name="a", on_error="skip").rejected


def test_notices_of_orientation_and_depth(tmp_path):
    root = tmp_path / "raw"
    (root / "im").mkdir(parents=True)
    numbers = image_kinds.values(2, 16, 20, 30)
    (root / "im/a.png").write_bytes(image_kinds.png(numbers, 2, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(raw_sets.image(0, 20, 30)).save(root / "im/b.jpg", exif=exif)
    raw = folder.find(root / "im")
    notices = convert.prepare(raw, output=tmp_path, name="a").notices
    assert notices == (
        "b.jpg has an orientation (EXIF), which is not applied",
        "a.png has 16 bits per channel, of which the upper 8 are taken",
    )
    stored = {record.filename: record for record in _stored(tmp_path / "a")}
    assert (stored["b.jpg"].height, stored["b.jpg"].width) == (20, 30)
    small = convert.prepare(raw, output=tmp_path, name="b", storage=Storage(1.0001, "png"))
    (pixels,) = (np.asarray(Image.open(io.BytesIO(r.image))) for r in _stored(tmp_path / "b") if r.filename == "a.png")
    assert small.manifest.height == 20
    np.testing.assert_array_equal(pixels, image_kinds.rgb(numbers, 2, 16))


def test_a_label_drawn_on_the_turned_picture_is_told(tmp_path):
    root = tmp_path / "raw"
    for part in ("im", "gt"):
        (root / part).mkdir(parents=True)
    (root / "im/a.png").write_bytes(
        image_kinds.png(image_kinds.values(2, 8, 20, 30), 2, 8, before=((b"eXIf", image_kinds.exif(6)),))
    )
    (root / "gt/a.png").write_bytes(_png(np.zeros((30, 20), np.uint8)))
    (tmp_path / "c.yaml").write_text(YAML)
    raw = custom.find(root, description.read(tmp_path / "c.yaml"))
    with pytest.raises(MsdaError, match=r"as its orientation \(EXIF 6\) turns it, .* turn the label back"):
        convert.prepare(raw, output=tmp_path, name="a")
    (root / "gt/a.png").write_bytes(_png(np.zeros((20, 30), np.uint8)))
    (notice,) = convert.prepare(raw, output=tmp_path, name="a").notices[:1]
    assert notice == (
        "im/a.png has an orientation (EXIF), which is not applied: labels must be drawn on the picture as it is "
        "stored, not as a viewer turns it"
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_and_label_stay_together_whatever_the_orientation(tmp_path, orientation):
    """As in the raw files, scaled or not."""
    numbers = image_kinds.values(0, 8, 20, 30, seed=orientation) % 2
    root = tmp_path / "raw"
    for part in ("im", "gt"):
        (root / part).mkdir(parents=True)
    extra = {"before": ((b"eXIf", image_kinds.exif(orientation)),)}
    (root / "im/a.png").write_bytes(image_kinds.png(numbers * 255, 0, 8, **extra))
    (root / "gt/a.png").write_bytes(image_kinds.png(numbers, 0, 8, **extra))
    (tmp_path / "c.yaml").write_text(YAML)
    raw = custom.find(root, description.read(tmp_path / "c.yaml"))
    for name, storage in (("whole", Storage()), ("again", Storage(1.001, "png"))):
        convert.prepare(raw, output=tmp_path, name=name, storage=storage)
        (record,) = _stored(tmp_path / name)
        image, label = (np.asarray(Image.open(io.BytesIO(data))) for data in (record.image, record.label))
        np.testing.assert_array_equal(image if image.ndim == 2 else image[..., 0], numbers[..., 0] * 255)
        np.testing.assert_array_equal(label, numbers[..., 0])


def test_polygons_claim_no_memory_either(tmp_path):
    reader = PolygonLabels({"a": 0}, rest_ignored=True)
    square = {"label": "a", "polygon": [[0, 0], [5, 0], [5, 5]]}
    for value in (
        {"imgWidth": 10**6, "imgHeight": 10**6, "objects": []},
        {"imgWidth": float("inf"), "imgHeight": 4, "objects": []},
        {"imgWidth": 9, "imgHeight": 9, "objects": [square | {"polygon": [[0, 0], [1e300, 0], [0, 5]]}]},
        {"imgWidth": 9, "imgHeight": 9, "objects": [square | {"polygon": [[0, 0], [float("nan"), 0], [0, 5]]}]},
    ):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(value))
        with pytest.raises(BadFrame):
            reader.read_header(path)
            reader.decode(path.read_bytes())
    with pytest.raises(BadFrame):
        reader.decode(b'{"imgWidth": 9, "imgHeight": 9, "objects": ' + b"[" * 100000)


def test_headers_of_any_size_take_no_memory(tmp_path):
    """A PNG of some bytes that claims to be of gigabytes is refused by its header, as image and as label."""
    root = tmp_path / "raw"
    root.mkdir()
    (root / "good.png").write_bytes(_png(raw_sets.image(0)))
    photo = image_kinds.jpeg(Image.fromarray(raw_sets.image(1)))
    at = photo.index(b"\xff\xc0")
    (root / "a.jpg").write_bytes(photo[: at + 5] + struct.pack(">HH", 65000, 65000) + photo[at + 9 :])
    for size in (20000, 30000, 50000):
        data = image_kinds.SIGNATURE + image_kinds.header(size, size, 1, 0) + image_kinds.chunk(b"IEND", b"")
        (root / f"{size}.png").write_bytes(data)
    prepared = convert.prepare(folder.find(root), output=tmp_path, name="a", on_error="skip")
    assert prepared.manifest.splits["train"].examples == 1
    assert all("pixels, more than the 67108864" in bad.reason for bad in prepared.rejected)
    assert len(prepared.rejected) == 4
