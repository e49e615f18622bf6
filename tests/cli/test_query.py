"""`msda-tf query` against a stand-in for TensorFlow Serving that runs a really exported model."""

import io
import json
import socket

import cv2
import fresh_runs
import numpy as np
import prepared
import pytest
import stub_server
from command import exit_code as msda_tf
from PIL import Image

from msda_tf import export
from msda_tf.evaluation import palettes
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.serving.client import retry
from msda_tf.serving.client.rest import RestClient
from msda_tf.serving.model import Served


@pytest.fixture(scope="module")
def run(prepared_data, tmp_path_factory):
    return fresh_runs.write(tmp_path_factory.mktemp("runs") / "run", prepared_data, layout="s-all")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    served = Served(confidence=True, color_map=True, max_pixels=1 << 20)
    return stub_server.Model(export.export([run.directory], tmp_path_factory.mktemp("model"), served=served))


@pytest.fixture
def model(exported):
    """The model, in good health."""
    exported.unavailable, exported.delay, exported.garbage, exported.requests = 0, 0.0, None, 0
    return exported


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("input")
    (root / "town").mkdir()
    for seed, name in enumerate(("a.png", "town/b.png")):
        image, _ = prepared.scene(np.random.default_rng(seed), 65, 129, -30)
        Image.fromarray(image).save(root / name)
    return root


@pytest.fixture(params=["rest", "grpc"])
def server(request, model):
    """Options that name the server, in both protocols."""
    if request.param == "rest":
        with stub_server.rest(model) as url:
            yield ["--url", url]
    else:
        pytest.importorskip("tensorflow_serving")
        with stub_server.grpc_server(model) as address:
            yield ["--grpc", address]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    waits = []
    monkeypatch.setattr(retry.time, "sleep", waits.append)
    return waits


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def error_line(capsys):
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("msda-tf: ")]
    return line


def test_equal_to_predict(run, server, folder, tmp_path):
    assert msda_tf("query", *server, "--input", folder, "--output", tmp_path / "query") == 0
    options = ["--outputs", "labels,colors,overlays,confidence", "--output", tmp_path / "predict"]
    assert msda_tf("predict", "--run", run.directory, "--input", folder, *options) == 0
    expected = sorted(path.relative_to(tmp_path / "predict") for path in (tmp_path / "predict").rglob("*.png"))
    assert len(expected) == 8
    assert sorted(path.relative_to(tmp_path / "query") for path in (tmp_path / "query").rglob("*.png")) == expected
    for path in expected:
        difference = read(tmp_path / "query" / path).astype(int) - read(tmp_path / "predict" / path)
        assert np.abs(difference).max() <= (1 if path.parts[0] == "confidence" else 0), path


def test_classes_of_the_export(model, server, folder, tmp_path, capsys):
    asked = ["query", *server, "--input", folder / "a.png"]
    metadata = json.loads((model.directory / "assets.extra" / "metadata.json").read_text())
    for index, entry in enumerate(metadata["classes"]):
        entry |= {"name": f"kind {index}", "color": [index, 2 * index, 100]}
    changed = tmp_path / "metadata.json"
    changed.write_text(json.dumps(metadata))
    assert msda_tf(*asked, "--output", tmp_path / "own", "--classes", changed) == 0
    labels = read(tmp_path / "own" / "labels" / "a.png")
    expected = np.stack([np.full_like(labels, 100), 2 * labels, labels], axis=2)  # BGR
    np.testing.assert_array_equal(read(tmp_path / "own" / "colors" / "a.png"), expected)

    palette = ["--classes", model.directory.parent, "--palette", "colour-blind"]
    assert msda_tf(*asked, "--output", tmp_path / "blind", *palette) == 0
    expected = palettes.recoloured(CITYSCAPES_CLASSES, "colour-blind").palette()[labels]
    np.testing.assert_array_equal(read(tmp_path / "blind" / "colors" / "a.png")[..., ::-1], expected)
    assert msda_tf(*asked, "--output", tmp_path / "legend", "--classes", model.directory, "--legend") == 0
    assert len(read(tmp_path / "legend" / "overlays" / "a.png")) > len(labels)
    assert len(read(tmp_path / "legend" / "labels" / "a.png")) == len(labels)

    metadata["classes"] = metadata["classes"][: labels.max()]
    changed.write_text(json.dumps(metadata))
    capsys.readouterr()
    assert msda_tf(*asked, "--output", tmp_path / "few", "--classes", changed) == 1
    assert f"holds class {labels.max()}, and {labels.max()} classes are known" in capsys.readouterr().err
    assert not (tmp_path / "few").exists()
    changed.write_text('{"classes": [{"name": "road", "color": [1, 2, 300]}]}')
    assert msda_tf(*asked, "--output", tmp_path / "few", "--classes", changed) == 1
    assert "metadata.json tells of no classes (classes[0].color[2]" in error_line(capsys)
    assert msda_tf(*asked, "--output", tmp_path / "few", "--classes", folder) == 2
    assert "holds no metadata.json" in error_line(capsys)
    assert msda_tf(*asked, "--output", tmp_path / "few", "--palette", "colour-blind") == 2
    assert "--palette colour-blind needs to know the classes" in error_line(capsys)


def test_a_server_that_is_starting_is_asked_again(model, server, folder, tmp_path, no_waiting, capsys):
    model.unavailable = 3
    assert msda_tf("query", *server, "--input", folder / "a.png", "--output", tmp_path) == 0
    assert model.requests == 4 and no_waiting == [0.5, 1.0, 2.0]
    model.unavailable = 100
    capsys.readouterr()
    assert msda_tf("query", *server, "--input", folder / "a.png", "--output", tmp_path, "--retries", "2") == 1
    assert model.requests == 7
    line = error_line(capsys)
    assert "503" in line or "UNAVAILABLE" in line


def test_refusals_are_the_servers_words(server, tmp_path, capsys):
    Image.fromarray(np.zeros((1100, 1100, 3), np.uint8)).save(tmp_path / "big.png")
    assert msda_tf("query", *server, "--input", tmp_path / "big.png", "--output", tmp_path / "out") == 1
    printed = capsys.readouterr().err
    assert "big.png: " in printed and "1048576 pixels in all" in printed and "1 images could not" in printed
    assert not list((tmp_path / "out").rglob("*"))


def test_other_failures(model, server, folder, tmp_path, capsys):
    options = ["--input", folder / "a.png", "--output", tmp_path / "out"]
    if server[0] == "--url":
        assert msda_tf("query", "--url", server[1].replace("msda", "other"), *options) == 1
        assert "answers 404: Servable not found" in capsys.readouterr().err
        for garbage in (b"<html>", b"{}", b'{"outputs": "x"}', b'{"outputs": [[[0]]]}', b'{"outputs": [[[300]]]}'):
            model.garbage = garbage
            assert msda_tf("query", *server, *options) == 1
            assert "no label map" in (printed := capsys.readouterr().err) or "no msda-tf model" in printed
        model.garbage = None
    else:
        assert msda_tf("query", *server, "--model", "other", *options) == 1
        assert "NOT_FOUND: Servable not found" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*"))


def test_a_slow_server(model, server, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.undo()  # the server sleeps, too
    model.delay = 1.5
    options = ["--input", folder / "a.png", "--output", tmp_path, "--timeout", "0.3"]
    assert msda_tf("query", *server, *options) == 1
    assert "did not answer in 0.3 s" in capsys.readouterr().err


def test_no_server(folder, tmp_path, capsys, no_waiting):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--input", folder / "a.png", "--output", tmp_path, "--retries", "1", "--timeout", "2"]
    assert msda_tf("query", "--url", f"http://127.0.0.1:{port}/v1/models/msda", *options) == 1
    assert "cannot be reached" in error_line(capsys) and len(no_waiting) == 1
    pytest.importorskip("tensorflow_serving")
    assert msda_tf("query", "--grpc", f"127.0.0.1:{port}", *options) == 1
    assert "UNAVAILABLE" in error_line(capsys)


def test_bad_images_do_not_stop_the_others(server, folder, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes((folder / "a.png").read_bytes())
    (tmp_path / "in" / "b.png").write_text("no image")
    (tmp_path / "in" / "c.png").write_bytes((folder / "a.png").read_bytes()[:500])
    assert msda_tf("query", *server, "--input", tmp_path / "in", "--output", tmp_path / "out") == 1
    printed = capsys.readouterr().err
    assert "b.png: neither a PNG nor a JPEG" in printed and "c.png: truncated PNG" in printed
    assert "2 images could not be segmented" in printed
    assert (tmp_path / "out/labels/a.png").is_file()


def test_misuse_ends_in_one_line(folder, tmp_path, capsys):
    options = ["--input", folder, "--output", tmp_path / "out"]
    url = "http://localhost:1/v1/models/msda"
    (tmp_path / "file").touch()
    for arguments, message in (
        (options, "either --url (REST) or --grpc"),
        ([*options, "--url", url, "--grpc", "localhost:1"], "either --url (REST) or --grpc"),
        ([*options, "--url", "localhost:8501"], "is no model's address"),
        (["--url", url, "--input", tmp_path / "none", "--output", tmp_path / "out"], "none does not exist"),
        (["--url", url, "--input", folder, "--output", folder / "out"], "lies in the input folder"),
        (["--url", url, "--input", folder, "--output", tmp_path / "file"], "is a file"),
    ):
        assert msda_tf("query", *arguments) == 2, message
        assert message in error_line(capsys)


def test_a_single_output_comes_without_its_name(model):
    """As TensorFlow Serving answers for models that were exported with the label map alone."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(buffer, "png")
    model.garbage = b'{"outputs": [[[1, 2, 3], [4, 5, 6]]]}'
    with stub_server.rest(model) as url:
        outputs = RestClient(url).predict([buffer.getvalue()])
    np.testing.assert_array_equal(outputs["label_map"], [[[1, 2, 3], [4, 5, 6]]])
    assert outputs["label_map"].dtype == np.uint8
