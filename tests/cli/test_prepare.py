"""msda-tf prepare: what is written, what is printed, and one clear line for each mistake."""

import json

import pytest
import raw_sets
from PIL import Image

from msda_tf.cli import main as cli
from msda_tf.data import manifest as manifests
from msda_tf.data_prep.conversion import shards


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs `msda-tf prepare ...` in an empty folder; returns exit code, stdout, and the last line of stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["prepare", *arguments])
            raise SystemExit(0)
        printed = capsys.readouterr()
        return caught.value.code, printed.out, (printed.err.strip().splitlines() or [""])[-1]

    return call


@pytest.mark.parametrize("dataset", ["gta5", "synthia", "cityscapes"])
def test_defaults(run, tmp_path, dataset):
    amount = {"train": 2, "val": 1} if dataset == "cityscapes" else 3
    getattr(raw_sets, dataset)(tmp_path / "raw" / dataset, amount)
    code, out, _ = run("--dataset", dataset)
    assert code == 0
    manifest = manifests.find(tmp_path / "data", dataset)
    assert manifest.splits[manifest.training_split].examples in (2, 3)
    assert "mean RGB" in out
    assert f"msda-tf train --target {dataset}" in out
    code, out, _ = run("--dataset", dataset)
    assert (code, "nothing had to be done" in out) == (0, True)


def test_options(run, tmp_path):
    raw_sets.synthia(tmp_path / "s", 3)
    code, _, _ = run(
        *("--dataset", "synthia", "--raw", "s", "--output", "d", "--name", "half", "--scale", "0.5"),
        *("--image-format", "jpeg", "--jpeg-quality", "80", "--lane-marking", "road", "--test-frames", "1"),
        *("--workers", "2", "--verify"),
    )
    assert code == 0
    manifest = manifests.find(tmp_path / "d", "half")
    assert (manifest.height, manifest.width) == (32, 64)
    assert manifest.splits["test"].examples == 1
    wanted = {"scale": 0.5, "image_format": "jpeg", "jpeg_quality": 80, "lane_marking": "road", "test_frames": 1}
    assert wanted.items() <= manifest.options.items()


def test_folder_is_said_to_be_unlabelled(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.fromarray(raw_sets.image(0)).save(tmp_path / "pictures/a.jpg")
    code, out, _ = run("--dataset", "folder", "--raw", "pictures", "--name", "mine")
    assert code == 0
    assert "no labels" in out
    assert "--target mine --sources" in out


def test_verify_needs_no_raw_data(run, tmp_path):
    raw_sets.gta5(tmp_path / "raw/gta5", 2)
    run("--dataset", "gta5")
    (tmp_path / "raw").rename(tmp_path / "gone")
    code, out, _ = run("--dataset", "gta5", "--verify")
    assert (code, "2 images verified" in out) == (0, True)
    shard = next((tmp_path / "data/gta5").glob("*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-1])
    code, _, error = run("--dataset", "gta5", "--verify")
    assert code == 1
    assert shard.name in error


def test_skip_says_what_was_left_out(run, tmp_path):
    raw_sets.gta5(tmp_path / "raw/gta5", 3)
    (tmp_path / "raw/gta5/labels/00002.png").write_bytes(b"")
    code, _, error = run("--dataset", "gta5")
    assert code == 1
    assert "1 frame cannot be used" in error
    assert "00002.png: empty file" in error
    assert "rejected.csv" in error
    code, out, _ = run("--dataset", "gta5", "--on-error", "skip")
    assert (code, "1 bad frames, listed in data/gta5/rejected.csv" in out) == (0, True)


def test_other_options_need_force(run, tmp_path):
    raw_sets.gta5(tmp_path / "raw/gta5", 2)
    run("--dataset", "gta5")
    code, _, error = run("--dataset", "gta5", "--scale", "0.5")
    assert (code, "was prepared with scale = 1.0, now 0.5 is asked for" in error) == (2, True)
    assert run("--dataset", "gta5", "--scale", "0.5", "--force")[0] == 0
    assert json.loads((tmp_path / "data/gta5/dataset.json").read_text())["height"] == 32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "gta5"], "raw folder raw/gta5 does not exist: expected images/00001.png"),
        (["--dataset", "nothing"], "'nothing' is not one of"),
        ([], "--dataset is missing: choose one of gta5, synthia"),
        (["--dataset", "gta5", "--lane-marking", "road"], "--lane-marking has no meaning for --dataset gta5"),
        (["--dataset", "cityscapes", "--test-frames", "9"], "--test-frames has no meaning for --dataset cityscapes"),
        (["--dataset", "gta5", "--seed", "1"], "--seed has no meaning for --dataset gta5"),
        (["--dataset", "miniature", "--raw", "x"], "--raw has no meaning for --dataset miniature"),
        (["--dataset", "miniature", "--output", "data"], "--output data is for real data sets"),
        (["--dataset", "gta5", "--name", "a/b"], "--name a/b is no folder name"),
        (["--dataset", "gta5", "--scale", "0"], "scale"),
        (["--dataset", "gta5", "--scale", "2"], "scale"),
        (["--dataset", "gta5", "--jpeg-quality", "0"], "jpeg-quality"),
        (["--dataset", "miniature", "--train-frames", "1" + "0" * 12], "train-frames"),
    ],
)
def test_misuse(run, arguments, said):
    code, _, error = run(*arguments)
    assert code == 2
    assert said in error


def test_it_does_not_load_tensorflow(tmp_path):
    """Converting must start at once and stay small in memory."""
    import subprocess
    import sys

    raw_sets.gta5(tmp_path / "raw/gta5", 1)
    script = (
        "import sys\n"
        "from msda_tf.cli.main import main\n"
        "main(['prepare', '--dataset', 'gta5', '--verify'])\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True).returncode == 0


def test_miniature(run, tmp_path):
    small = ("--dataset", "miniature", "--train-frames", "2", "--test-frames", "1", "--height", "32")
    code, out, error = run(*small, "--verify")
    assert code == 0, error
    assert out.count("3 images verified") == 3
    found = {name: manifests.find(tmp_path / "data-miniature", name) for name in ("gta5", "synthia", "cityscapes")}
    assert {name: manifest.height for name, manifest in found.items()} == dict.fromkeys(found, 32)
    assert {name: manifest.width for name, manifest in found.items()} == {"gta5": 58, "synthia": 54, "cityscapes": 64}
    sizes = {name: {k: v.examples for k, v in manifest.splits.items()} for name, manifest in found.items()}
    simulated = {"train": 3, "test": 1}
    assert sizes == {"gta5": simulated, "synthia": simulated, "cityscapes": {"train": 2, "val": 1}}
    assert manifests.available(tmp_path / "data-miniature") == ["cityscapes", "gta5", "synthia"]
    code, out, _ = run(*small)
    assert (code, out.count("nothing had to be done")) == (0, 3)
    code, _, error = run(*small, "--seed", "1")
    assert (code, "was drawn with seed = 0, now 1 is asked for" in error) == (2, True)
    assert run(*small, "--seed", "1", "--force")[0] == 0
    assert manifests.find(tmp_path / "data-miniature", "gta5").mean_rgb != found["gta5"].mean_rgb


def test_custom(run, tmp_path):
    Image.fromarray(raw_sets.image(0)).save(tmp_path / "a.jpg")
    (tmp_path / "raw/toys").mkdir(parents=True)
    (tmp_path / "a.jpg").rename(tmp_path / "raw/toys/a.jpg")
    Image.fromarray(raw_sets.ids(0, (0, 1))).save(tmp_path / "raw/toys/a.png")
    (tmp_path / "toys.yaml").write_text(
        "name: toys\nsplits: {train: {images: '*.jpg', labels: '*.png'}}\n"
        "classes: [{name: duck, color: [255, 255, 0]}, {name: tub, color: [9, 9, 9]}]\n"
    )
    code, out, error = run("--dataset", "custom", "--config", "toys.yaml", "--verify")
    assert code == 0, error
    assert "--target toys" in out
    assert manifests.find(tmp_path / "data", "toys").classes.names == ("duck", "tub")
    code, _, error = run("--dataset", "custom")
    assert (code, "needs --config FILE.yaml" in error) == (2, True)
    (tmp_path / "toys.yaml").write_text("name: toys\nsplits: 1\nclasses: cityscapes\n")
    code, _, error = run("--dataset", "custom", "--config", "toys.yaml")
    assert (code, error) == (2, "msda-tf: toys.yaml:2: splits: a mapping of keys to values is expected, not 1")


def test_class_map(run, tmp_path):
    raw_sets.gta5(tmp_path / "raw/gta5", 2)
    (tmp_path / "map.yaml").write_text(
        "classes: [{name: ground, color: [1, 1, 1]}, {name: sky, color: [2, 2, 2]}]\n"
        "map: {ground: [road, sidewalk], sky: [sky]}\nignore: rest\n"
    )
    assert run("--dataset", "gta5", "--class-map", "map.yaml", "--verify")[0] == 0
    assert manifests.find(tmp_path / "data", "gta5").classes.names == ("ground", "sky")


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _link_nowhere(path):
    path.unlink()
    path.symlink_to("gone.png")


def _save(picture):
    return lambda path: picture.save(path, "PNG")


@pytest.mark.parametrize(
    ("file", "spoil", "said"),
    [
        ("images/00002.png", _cut, "truncated PNG: its end is missing"),
        ("labels/00002.png", _cut, "truncated PNG: its end is missing"),
        ("images/00002.png", lambda path: path.write_bytes(b""), "empty file (0 bytes)"),
        ("labels/00002.png", lambda path: path.unlink(), "image without label"),
        ("images/00002.png", lambda path: path.unlink(), "label without image"),
        ("images/00002.png", _link_nowhere, "broken symbolic link to gone.png"),
        ("images/00002.png", lambda path: Image.new("RGB", (129, 65)).save(path, "JPEG"), "a JPEG file named .png"),
        ("images/00002.png", lambda path: path.write_text("<html>"), "neither a PNG nor a JPEG file"),
        ("labels/00002.png", _save(Image.new("LA", (129, 65))), "a grey image with an alpha channel where"),
        ("labels/00002.png", _save(Image.new("L", (128, 65))), "the image is 129x65, its label 128x65 pixels"),
        ("labels/00002.png", _save(Image.new("RGB", (129, 65))), "a colour image where an image of class ids is due"),
        ("labels/00002.png", _save(Image.new("I;16", (129, 65))), "16 bits per pixel where ids of 8 bits are due"),
        ("labels/00002.png", _save(Image.new("L", (129, 65), 77)), "unknown class ids 77"),
        ("images/00002.PNG", _save(Image.new("RGB", (129, 65))), "double: the same name as"),
    ],
)
def test_each_bad_frame_has_its_line(run, tmp_path, file, spoil, said):
    raw_sets.gta5(tmp_path / "raw/gta5", 3)
    spoil(tmp_path / "raw/gta5" / file)
    code, _, error = run("--dataset", "gta5")
    assert (code, said in error, "1 frame cannot be used" in error) == (1, True, True), error
    assert said in (tmp_path / "data/gta5/rejected.csv").read_text().replace('"', "")
    assert manifests.available(tmp_path / "data") == []
    assert run("--dataset", "gta5", "--on-error", "skip")[0] == 0
    assert manifests.find(tmp_path / "data", "gta5").splits["train"].examples in (2, 3)


def test_ctrl_c_says_that_it_goes_on(tmp_path, monkeypatch, capsys):
    raw_sets.gta5(tmp_path / "raw/gta5", 2)
    monkeypatch.chdir(tmp_path)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "write", interrupted)
    with pytest.raises(SystemExit) as caught:
        cli.main(["prepare", "--dataset", "gta5"])
    assert caught.value.code == 130
    assert "interrupted: the same command goes on where it stopped" in capsys.readouterr().err


def test_max_pixels(run, tmp_path):
    raw_sets.gta5(tmp_path / "raw/gta5", 2)
    code, _, error = run("--dataset", "gta5", "--max-pixels", "8384")
    assert (code, "129x65 pixels, more than the 8384 that are allowed" in error) == (1, True)
    assert run("--dataset", "gta5", "--max-pixels", "8385", "--verify")[0] == 0
    for wrong in ("0", "nan", str(2**29)):
        assert run("--dataset", "gta5", "--max-pixels", wrong)[0] == 2
