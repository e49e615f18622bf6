"""`msda-tf predict`, from image files to label maps, colours and overlays."""

import os

import command
import cv2
import numpy as np
import prepared
import pytest
import tensorflow as tf

from msda_tf.evaluation import palettes
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.runs import trained


def predict(*arguments):
    """The command's exit code."""
    return command.exit_code("predict", *arguments)


def write(path, height, width, seed=0):
    """Writes a scene; gives its RGB pixels."""
    image, _ = prepared.scene(np.random.default_rng(seed), height, width, -30)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])
    return image


def read(path):
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return picture[..., ::-1] if picture.ndim == 3 else picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of several sizes, two of them unreadable."""
    root = tmp_path_factory.mktemp("input")
    scenes = {
        "a.png": write(root / "a.png", 65, 129),
        "town/a.png": write(root / "town/a.png", 64, 128, seed=1),
        "town/deep/b.png": write(root / "town/deep/b.png", 1, 1),
    }
    write(root / "town/a.jpg", 33, 31)
    (root / "town" / "broken.png").write_bytes((root / "a.png").read_bytes()[:1000])
    (root / "text.png").write_text("no image")
    (root / "notes.txt").write_text("not looked at")
    return root, scenes


def test_a_folder(trained_run, folder, tmp_path, capsys):
    root, scenes = folder
    output = tmp_path / "out"
    assert predict("--run", trained_run.directory, "--input", root, "--output", output) == 1
    printed = capsys.readouterr()
    assert "Segmented 4 images" in printed.out
    errors = [line for line in printed.err.splitlines() if "png" in line or line.startswith("msda-tf")]
    assert errors == [
        f"{root}/text.png: neither a PNG nor a JPEG file, whatever its name says",
        f"{root}/town/broken.png: truncated PNG: its end is missing",
        "msda-tf: 2 of 6 images could not be segmented",
    ]
    names = ["a.png", "town/a.jpg.png", "town/a.png.png", "town/deep/b.png"]
    for kind in ("labels", "colors", "overlays"):
        found = sorted(str(path.relative_to(output / kind)) for path in (output / kind).rglob("*.png"))
        assert found == names

    inference = trained.load([trained_run.directory]).inference
    for name, image in scenes.items():
        result = "town/a.png.png" if name == "town/a.png" else name
        labels, colors, overlay = (read(output / kind / result) for kind in ("labels", "colors", "overlays"))
        assert labels.dtype == np.uint8 and labels.shape == image.shape[:2]
        maps = [
            tf.compat.v1.image.resize_bilinear(maps, image.shape[:2], align_corners=True).numpy()
            for member in inference.members
            for maps in member.segmenter(image[None] - np.float32(trained_run.mean_rgb))["output"].values()
        ]
        assert (labels == np.max(maps, axis=0)[0].argmax(-1)).mean() > 0.999
        np.testing.assert_array_equal(colors, np.array(CITYSCAPES_CLASSES.colors, np.uint8)[labels])
        np.testing.assert_allclose(overlay, (colors.astype(float) + image) / 2, atol=0.51)
    assert len(np.unique(read(output / "labels" / "a.png"))) > 1


def test_one_file_and_chosen_branches(trained_run, folder, tmp_path):
    root, _ = folder
    options = ["--run", trained_run.directory, "--input", root / "a.png"]
    assert predict(*options, "--output", tmp_path, "--branches", "S2", "--merge", "mean-probability") == 0
    assert [path.name for path in tmp_path.rglob("*.png")] == ["a.png"] * 3


def test_bad_input_ends_in_one_line(trained_run, folder, tmp_path, capsys):
    root, _ = folder
    run = ["--run", trained_run.directory]
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for arguments, code, message in (
        (["--run", tmp_path, "--input", root, "--output", tmp_path / "o"], 2, "is not a run directory"),
        ([*run, "--input", tmp_path / "none", "--output", tmp_path / "o"], 2, "none does not exist"),
        ([*run, "--input", tmp_path / "empty", "--output", tmp_path / "o"], 2, "holds no image"),
        ([*run, "--input", root, "--output", root / "results"], 2, "lies in the input folder"),
        ([*run, "--input", root, "--output", root], 2, "lies in the input folder"),
        ([*run, "--input", root, "--output", tmp_path / "file"], 2, "file is a file"),
        ([*run, "--input", root, "--output", tmp_path / "file" / "o"], 1, "file"),
        ([*run, "--input", root, "--output", tmp_path / "o", "--branches", "S9"], 2, "no branch 'S9'"),
        ([*run, "--input", root / "text.png", "--output", tmp_path / "o"], 1, "1 of 1 images"),
        ([*run, "--input", root], 2, "--output"),
        ([*run, "--input", root, "--output", tmp_path / "o", "--outputs", "masks"], 2, "--outputs masks"),
        ([*run, "--input", root, "--output", tmp_path / "o", "--submission", "cityscapes"], 2, "not named as"),
    ):
        assert predict(*arguments) == code, message
        printed = capsys.readouterr()
        (line,) = [line for line in printed.err.splitlines() if line.startswith("msda-tf: ")]
        assert message in line, line
        assert "Traceback" not in printed.err and "unexpected" not in line
    assert not (root / "results").exists()


def test_confidence_flip_and_resume(trained_run, folder, tmp_path, capsys):
    root, _ = folder
    options = ["--run", trained_run.directory, "--input", root / "town", "--output", tmp_path]
    options += ["--outputs", "labels,confidence", "--resume", "--tta", "flip"]
    (tmp_path / "labels" / "deep").mkdir(parents=True)
    (tmp_path / "confidence" / "deep").mkdir(parents=True)
    for kind in ("labels", "confidence"):
        (tmp_path / kind / "deep" / "b.png").write_text("of an earlier run")
    assert predict(*options) == 1
    assert "Segmented 2 images" in (printed := capsys.readouterr().out)
    assert "the results of 1 were there" in printed
    assert (tmp_path / "labels/deep/b.png").read_text() == "of an earlier run"
    confidence = read(tmp_path / "confidence" / "a.png.png")
    assert confidence.shape == (64, 128) and confidence.dtype == np.uint8
    assert confidence.min() >= 255 // 19 and np.ptp(confidence) > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confidence", "labels"]


def test_a_palette_and_a_legend(trained_run, folder, tmp_path, capsys):
    root, scenes = folder
    ask = ["--run", trained_run.directory, "--input", root / "a.png", "--output", tmp_path]
    ask += ["--outputs", "labels,colors,overlays", "--palette", "colour-blind"]
    assert predict(*ask, "--legend") == 0
    shown = palettes.recoloured(CITYSCAPES_CLASSES, palettes.COLOUR_BLIND)
    labels, colors = read(tmp_path / "labels/a.png"), read(tmp_path / "colors/a.png")
    assert labels.shape == (65, 129) and colors.shape[0] > 65 and colors.shape[1] == 129
    np.testing.assert_array_equal(colors[:65], shown.palette()[labels])
    assert {tuple(color) for color in colors[65:].reshape(-1, 3)} >= set(shown.colors)
    overlay = read(tmp_path / "overlays/a.png")
    assert np.abs(overlay[:65].astype(int) - (scenes["a.png"].astype(int) + colors[:65]) / 2).max() <= 1
    capsys.readouterr()
    assert predict(*ask, "--resume") == 2  # pictures with a legend among others without
    assert "other" in capsys.readouterr().err
    assert predict(*ask[:-4], "--outputs", "labels", "--legend") == 2
    assert "--legend has no meaning without colors or overlays" in capsys.readouterr().err


def test_submission(trained_run, tmp_path):
    write(tmp_path / "in/berlin/berlin_000000_000019_leftImg8bit.png", 64, 128)
    options = ["--input", tmp_path / "in", "--submission", "cityscapes", "--output", tmp_path / "out"]
    assert predict("--run", trained_run.directory, *options) == 0
    (result,) = (tmp_path / "out").rglob("*.*")
    assert result == tmp_path / "out" / "berlin_000000_000019_labelIds.png"
    labels = read(result)
    assert labels.shape == (1024, 2048) and labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33}
    assert len(np.unique(labels)) > 1


def test_video(trained_run, tmp_path, capsys):
    writer = cv2.VideoWriter(str(tmp_path / "drive.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    image, _ = prepared.scene(np.random.default_rng(0), 48, 100, -30)
    for left in range(6):
        writer.write(np.ascontiguousarray(image[:, left : left + 64, ::-1]))
    writer.release()
    options = ["--run", trained_run.directory, "--output", tmp_path / "out"]
    assert predict(*options, "--input", tmp_path / "drive.mp4", "--outputs", "overlays") == 0
    assert "Segmented 6 images" in capsys.readouterr().out
    assert cv2.VideoCapture(str(tmp_path / "out/overlays/drive.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert predict(*options, "--input", tmp_path / "drive.mp4", "--resume") == 2
    (tmp_path / "broken.mp4").write_bytes(b"0" * 100)
    assert predict(*options, "--input", tmp_path / "broken.mp4") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("msda-tf: ")]
    assert "is a video" in errors[0] and "broken.mp4 is text, no video: expected" in errors[1]


def test_a_folder_that_is_not_mounted_is_named(trained_run, folder, tmp_path, capsys):
    root, _ = folder
    source, output = tmp_path / "in", tmp_path / "out"
    (source / "clip.png").mkdir(parents=True)
    (source / "clip.png/a.png").write_bytes((root / "a.png").read_bytes())
    (source / "day2").symlink_to("/mnt/not_mounted")
    (source / "back").symlink_to(".")
    os.mkfifo(source / "pipe.png")
    options = ["--run", trained_run.directory, "--input", source, "--output", output, "--outputs", "labels"]
    assert predict(*options) == 1
    error = capsys.readouterr().err
    assert f"{source}/day2: broken symbolic link to /mnt/not_mounted" in error
    assert f"{source}/pipe.png: cannot be read: Not a regular file" in error
    assert [path.name for path in (output / "labels").rglob("*.png") if path.is_file()] == ["a.png"]
    (source / "day2").unlink()
    (source / "pipe.png").unlink()
    assert predict(*options) == 0
    assert predict(*options, "--max-pixels", 100) == 1
    assert "pixels, more than the 100 that are allowed" in capsys.readouterr().err
