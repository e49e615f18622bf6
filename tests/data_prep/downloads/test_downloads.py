"""Fetching from a server on this machine, resuming, checking; unpacking safely; and all from the command line."""

import hashlib
import io
import tarfile
import zipfile

import archive_server
import full_disk
import pytest
import raw_sets
from PIL import Image

from msda_tf.cli import main as cli
from msda_tf.data import manifest as manifests
from msda_tf.data_prep import catalog
from msda_tf.data_prep.downloads import fetch, unpack
from msda_tf.errors import MsdaError

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def site():
    with archive_server.serving({"/a/set.zip": CONTENT, "/download/808/": CONTENT}) as (address, site):
        yield f"{address}/a/set.zip", site


def test_whole(site, tmp_path):
    url, _ = site
    told = []
    path = fetch.fetch(url, tmp_path / "in", progress=lambda *state: told.append(state))
    assert (path.name, path.read_bytes()) == ("set.zip", CONTENT)
    assert told[-1] == ("set.zip", len(CONTENT), len(CONTENT))
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["downloads.json", "set.zip"]


def test_not_again(site, tmp_path):
    url, server = site
    for _ in range(2):
        fetch.fetch(url, tmp_path)
    assert server.ranges == [None]
    (tmp_path / "set.zip").write_bytes(b"cut")  # not the one that was fetched
    assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT


def test_resumed(site, tmp_path):
    url, server = site
    server.break_after = 300_000
    with pytest.raises(MsdaError, match="broken off after 300000 of 1280000 bytes: run the same command again"):
        fetch.fetch(url, tmp_path)
    assert not (tmp_path / "set.zip").exists()
    assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_begun_anew_if_the_file_is_another_one_meanwhile(site, tmp_path):
    url, server = site
    server.break_after = 300_000
    with pytest.raises(MsdaError):
        fetch.fetch(url, tmp_path)
    server.files["/a/set.zip"] = CONTENT[::-1]
    assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT[::-1]


def test_begun_anew_if_the_server_does_not_tell(site, tmp_path):
    url, server = site
    server.validators, server.break_after = False, 300_000
    with pytest.raises(MsdaError):
        fetch.fetch(url, tmp_path)
    assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_stopped_between_the_last_byte_and_the_name(site, tmp_path, monkeypatch):
    url, server = site
    with monkeypatch.context() as patch:
        patch.setattr(fetch.pathlib.Path, "rename", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fetch.fetch(url, tmp_path)
    assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_checksums(site, tmp_path, kind):
    url, server = site
    right = hashlib.new(kind, CONTENT).hexdigest()
    assert fetch.fetch(url, tmp_path / "a", checksum=f"{kind}:{right}").name == "set.zip"
    server.files["/a/set.zip"] = b"?" + CONTENT[1:]
    with pytest.raises(MsdaError, match=f"has the {kind.upper()} .*, {right} is published: damaged"):
        fetch.fetch(url, tmp_path / "b", checksum=f"{kind}:{right}")
    assert not [path for path in (tmp_path / "b").iterdir() if path.suffix != ".json"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "808"),
        ("attachment; filename=RAND_CITYSCAPES.zip", "RAND_CITYSCAPES.zip"),
        ("attachment; filename=../../up.zip", "up.zip"),
        ("attachment; filename=.hidden", "hidden"),
        ("attachment; filename=..", "download"),
    ],
)
def test_names_lead_nowhere(site, tmp_path, header, name):
    url, server = site
    server.headers = {"Content-Disposition": header} if header else {}
    path = fetch.fetch(url.replace("/a/set.zip", "/download/808/"), tmp_path / "in")
    assert (path.parent, path.name) == (tmp_path / "in", name)


def test_refusals(site, tmp_path):
    url, _ = site
    with pytest.raises(MsdaError, match="the server answers 404 .Not Found.: see the data set's page"):
        fetch.fetch(f"{url}.gone", tmp_path)
    with pytest.raises(MsdaError, match="no connection .*refused.*run the same command again"):
        fetch.fetch("http://127.0.0.1:9/a.zip", tmp_path)


def _zip(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _tar(members, mode="w:gz"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("pack", [_zip, _tar, lambda members: _tar(members, "w")])
def test_unpacked_among_others(tmp_path, pack):
    (tmp_path / "set.x").write_bytes(pack({"rgb/1.png": b"one", "rgb/more/2.png": b"two"}))
    (tmp_path / "out/rgb").mkdir(parents=True)
    (tmp_path / "out/rgb/0.png").write_bytes(b"zero")
    assert unpack.unpack(tmp_path / "set.x", tmp_path / "out") == 2
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in (tmp_path / "out").rglob("*.png")
    }
    assert found == {"rgb/0.png": b"zero", "rgb/1.png": b"one", "rgb/more/2.png": b"two"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rgb"]
    (tmp_path / "out/rgb/1.png").unlink()
    assert unpack.unpack(tmp_path / "set.x", tmp_path / "out") == 2
    assert not (tmp_path / "out/rgb/1.png").exists()  # done before: the user removed it since


def test_stopped_halfway_nothing_is_there(tmp_path):
    (tmp_path / "set.zip").write_bytes(_zip({f"{number}.png": b"x" for number in range(5)}))

    def stop(name, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack.unpack(tmp_path / "set.zip", tmp_path / "out", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []
    assert unpack.unpack(tmp_path / "set.zip", tmp_path / "out") == 5


def _with_link(kind):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            member = zipfile.ZipInfo("link")
            member.external_attr = 0o120777 << 16
            archive.writestr(member, "/etc/passwd")
    else:
        with tarfile.open(fileobj=file, mode="w") as archive:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        *(
            pack({name: b"x"})
            for pack in (_zip, _tar)
            for name in ("../up.png", "/abs.png", "a/../../up.png", "..\\up.png")
        ),
        *map(_with_link, ("zip", "tar")),
    ],
    ids=range(10),  # not by the content, which holds the time: processes that share the tests must name them alike
)
def test_what_leads_out_is_refused(tmp_path, content):
    (tmp_path / "set.x").write_bytes(content)
    with pytest.raises(MsdaError, match="a link or a path out of its folder: it is not unpacked"):
        unpack.unpack(tmp_path / "set.x", tmp_path / "deep/out")
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".png" or path.is_symlink()]


def test_damaged_and_too_large_and_no_archive(tmp_path, monkeypatch):
    good = _zip({"a.png": b"content of a file" * 9})
    (tmp_path / "damaged.zip").write_bytes(good.replace(b"content of", b"kontent of", 1))
    with pytest.raises(MsdaError, match="damaged.zip is damaged .Bad CRC-32.*: delete it and fetch it again"):
        unpack.unpack(tmp_path / "damaged.zip", tmp_path / "out")
    (tmp_path / "large.zip").write_bytes(good)
    with monkeypatch.context() as patch:
        patch.setattr(unpack.shutil, "disk_usage", lambda _: type("", (), {"free": 100}))
        with pytest.raises(MsdaError, match="large.zip needs 0.0 GB when unpacked, but the disk of .* has only 0.0 GB"):
            unpack.unpack(tmp_path / "large.zip", tmp_path / "out")
    (tmp_path / "set.rar").write_bytes(b"Rar!")
    assert unpack.unpack(tmp_path / "set.rar", tmp_path / "out") is None


TOYS = """\
name: toys
download: https://example.org/toys
about:
  what: toys
  images: 2 labelled
  size: 129x65
  licence: CC0
  get:
    - {{url: "{address}/rgb.zip", into: rgb, sha256: {sha256}}}
    - {{url: "{address}/labels.tar.gz"}}
layouts:
  as unpacked:
    train:
      images: rgb/*.png
      labels: gt/*.png
labels: ids
classes: idd-7
ignore: [255]
"""


@pytest.mark.parametrize("change", ["method", "password", "offset", "name", "no name"])
def test_headers_of_an_archive_are_not_believed(tmp_path, change):
    path = tmp_path / "x.zip"
    data = bytearray(_zip({"d/a.txt": b"a" * 100}))
    central = data.index(b"PK\1\2")
    if change == "method":
        data[central + 10] = data[8] = 99
    elif change == "password":
        data[central + 8] |= 1
        data[6] |= 1
    elif change == "offset":
        end = data.index(b"PK\5\6")
        data[end + 16 : end + 20] = (central + 9_000_000).to_bytes(4, "little")
    else:
        data[central + 8 : central + 10] = data[6:8] = b"\0\x08"  # its name is UTF-8
        data = data.replace(b"d/a.txt", b"d/\xff.txt" if change == "name" else b"\0/a.txt")
    path.write_bytes(data)
    with pytest.raises(MsdaError, match="x.zip is damaged .*: delete it and fetch it again"):
        unpack.unpack(path, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "content", ["[]", '{"set.zip": 3}', '{"../x": {"url": "u", "bytes": 3}}', '{"a": {"url": 1}}', "[" * 5000]
)
def test_a_damaged_list_of_files_counts_for_nothing(site, tmp_path, content):
    url, _ = site
    (tmp_path / "downloads.json").write_text(content)
    assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT


def test_a_damaged_note_of_what_has_arrived_counts_for_nothing(site, tmp_path):
    url, server = site
    for content in ("{}", '{"validator": 3, "name": "x"}', '{"validator": "\\n", "name": "x"}', '{"validator": "v"}'):
        server.break_after = 300_000
        with pytest.raises(MsdaError):
            fetch.fetch(url, tmp_path)
        (mark,) = tmp_path.glob(".*.json")
        mark.write_text(content)
        assert fetch.fetch(url, tmp_path).read_bytes() == CONTENT
        (tmp_path / "set.zip").unlink()
    assert set(server.ranges) == {None}


def test_a_full_disk_names_the_place(site, tmp_path):
    url, _ = site
    with full_disk.files_of_at_most(100_000), pytest.raises(MsdaError, match="cannot hold what http.*File too large"):
        fetch.fetch(url, tmp_path)


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A catalogue of one data set, which a server on this machine has; returns the server."""
    images = _zip({f"{number}.png": _png(raw_sets.image(number)) for number in range(2)})
    labels = _tar({f"gt/{number}.png": _png(raw_sets.ids(number, range(7))) for number in range(2)})
    folder = tmp_path / "catalog"
    folder.mkdir()
    monkeypatch.setattr(catalog, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    with archive_server.serving({"/rgb.zip": images, "/labels.tar.gz": labels}) as (address, site):
        sha256 = hashlib.sha256(images).hexdigest()
        (folder / "toys.yaml").write_text(TOYS.format(address=address, sha256=sha256))
        yield site


def _run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments])
        raise SystemExit(0)
    printed = capsys.readouterr()
    return caught.value.code, printed.out, (printed.err.strip().splitlines() or [""])[-1]


def test_get_and_prepare(toys, tmp_path, capsys):
    code, out, error = _run(capsys, "datasets", "get", "toys", "--output", "mine", "--remove-archives")
    assert code == 0, error
    assert "rgb.zip: 2 files in mine/rgb" in out
    assert "Next: msda-tf prepare --dataset toys --raw mine" in out
    assert not list((tmp_path / "mine/archives").glob("*.zip"))
    code, _, error = _run(capsys, "prepare", "--dataset", "toys", "--raw", "mine", "--verify")
    assert code == 0, error
    assert manifests.find(tmp_path / "data", "toys").splits["train"].examples == 2


def test_get_again_fetches_nothing(toys, capsys):
    for _ in range(2):
        assert _run(capsys, "datasets", "get", "toys")[0] == 0
    assert len(toys.ranges) == 2


def test_get_after_a_break(toys, tmp_path, capsys):
    toys.break_after = 50
    code, _, error = _run(capsys, "datasets", "get", "toys")
    assert (code, "broken off after 50 of" in error) == (1, True), error
    assert _run(capsys, "datasets", "get", "toys")[0] == 0
    assert (tmp_path / "raw/toys/gt/1.png").is_file()


def test_what_no_archive_is_is_left_to_the_user(toys, capsys):
    toys.files["/labels.tar.gz"] = b"Rar!"
    code, out, _ = _run(capsys, "datasets", "get", "toys")
    assert code == 0
    assert "labels.tar.gz is neither a ZIP nor a TAR archive: unpack it into raw/toys yourself" in out
