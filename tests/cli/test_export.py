"""`msda-tf export`: a SavedModel that gives what predict gives, in a process without this project."""

import hashlib
import io
import json
import pathlib
import pickle
import struct
import subprocess
import sys
import zlib

import cv2
import fresh_runs
import image_kinds
import numpy as np
import pytest
import tensorflow as tf
from command import exit_code as msda_tf
from PIL import Image

from msda_tf.data import tfrecord
from msda_tf.evaluation import metrics
from msda_tf.labels import CITYSCAPES_CLASSES
from msda_tf.runs import trained

SIZES = [(1, 1), (1, 7), (9, 13), (33, 33), (64, 128), (65, 129), (77, 31), (40, 100), (129, 65), (50, 50)]
SIZES += [(3, 200), (200, 3), (16, 16), (17, 47), (31, 99), (63, 64), (8, 8), (101, 53), (2, 2), (97, 97)]


def photo(height, width, seed=0):
    """A smooth picture with some noise, uint8 `[H, W, 3]`."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 4, (height, width, 3))
    return smooth.clip(0, 255).astype(np.uint8)


def encoded(image, kind="png"):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def empty_png(height, width):
    """A PNG file whose header claims a size and which holds no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def pixels(value):
    return "serving_default", "images", np.asarray(value)


def files(*contents):
    return "serving_bytes", "image_bytes", np.array(contents, object)


PICTURE = photo(9, 13)
HOSTILE = {
    # What the message says -> requests. Without the checks, some of these end the process or exhaust its memory.
    "at least one pixel": [pixels(np.zeros((1, 0, 5, 3), np.uint8)), pixels(np.zeros((0, 4, 4, 3), np.uint8))],
    "not compatible with expected shape [?,?,?,3]": [
        pixels(np.zeros(shape, np.uint8))
        for shape in [(), (3,), (4, 4), (4, 4, 3), (1, 1, 4, 4, 3), (1, 4, 4, 1), (1, 4, 4, 4)]
    ],
    "expected to be a uint8 tensor": [pixels(np.zeros((1, 4, 4, 3), np.float32))],
    "pixels in all": [
        pixels(np.zeros((1, 1100, 1100, 3), np.uint8)),
        pixels(np.zeros((300, 1, 1, 3), np.uint8)),
        files(empty_png(100_000, 100_000)),
        files(*[encoded(np.zeros((1, 20_000, 3), np.uint8))] * 2),
    ],
    "at least one PNG or JPEG": [("serving_bytes", "image_bytes", np.zeros([0], "S"))],
    "not compatible with expected shape [?]": [
        ("serving_bytes", "image_bytes", np.array(encoded(PICTURE), object)),
        ("serving_bytes", "image_bytes", np.array([[encoded(PICTURE)]], object)),
    ],
    "must be the content of PNG or JPEG": [files(b""), files(b"hello"), files(b"GIF89a" + bytes(40)), files(b"BM")],
    "of one size": [
        files(encoded(PICTURE), encoded(photo(4, 13))),
        files(empty_png(0, 3)),
        files(empty_png(0x80000001, 3)),
    ],
    "before its header does": [files(b"\x89PNG\r\n\x1a\n")],
    # A chunk that says 64x64 before the header that says 20000x20000.
    "does not begin with its header": [files(image_kinds.bad_files()["chunk before the header"])],
    "may have 100 scans": [files(image_kinds.many_scans(500))],
    "Invalid": [
        files(encoded(PICTURE)[:100]),
        files(empty_png(9, 13)),
        files(encoded(PICTURE, "jpeg")[:-40]),
        files(b"\xff\xd8\xff"),
    ],
    "expected to be a string tensor": [("serving_bytes", "image_bytes", np.zeros(3, np.int32))],
}


@pytest.fixture(scope="module")
def run(prepared_data, tmp_path_factory):
    """One network with three branches and random weights."""
    return fresh_runs.write(tmp_path_factory.mktemp("runs") / "joint", prepared_data, layout="joint")


@pytest.fixture(scope="module")
def model(run, tmp_path_factory):
    """The first version of a model with all outputs."""
    output = tmp_path_factory.mktemp("models") / "street"
    options = ["--confidence", "--color-map", "--max-pixels", 1 << 20]
    assert msda_tf("export", "--run", run.directory, "--output", output, *options) == 0
    assert [path.name for path in output.iterdir()] == ["1"]
    return output / "1"


@pytest.fixture(scope="module")
def answers(model, tmp_path_factory):
    """The model's answers in a process without this project: to good requests, and to hostile ones."""
    folder = tmp_path_factory.mktemp("clean")
    requests = [pixels(photo(*size, seed)[None]) for seed, size in enumerate(SIZES)]
    requests += [files(encoded(photo(*size, seed))) for seed, size in enumerate(SIZES)]
    requests += [
        pixels(np.stack([photo(20, 30, 1), photo(20, 30, 2)])),
        files(encoded(photo(20, 30, 1)), encoded(photo(20, 30, 2))),
        files(encoded(PICTURE[..., 0])),
        files(encoded(np.dstack([PICTURE, PICTURE[..., :1]]))),
    ]
    good = len(requests)
    requests += [request for group in HOSTILE.values() for request in group]
    with open(folder / "requests", "wb") as file:
        pickle.dump(requests, file)
    script = pathlib.Path(__file__).parent.parent / "clean_process.py"
    command = [sys.executable, "-I", str(script), str(model), str(folder / "requests"), str(folder / "answers")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    with open(folder / "answers", "rb") as file:
        found = pickle.load(file)
    return found[:good], found[good:]


def test_equal_to_predict_pixel_for_pixel(run, answers, tmp_path):
    for seed, size in enumerate(SIZES):
        name = tmp_path / "in" / f"{seed:02d}.png"
        name.parent.mkdir(exist_ok=True)
        name.write_bytes(encoded(photo(*size, seed)))
    options = ["--input", tmp_path / "in", "--output", tmp_path / "out"]
    assert msda_tf("predict", "--run", run.directory, *options) == 0
    good, _ = answers
    seen = set()
    for seed, size in enumerate(SIZES):
        expected = cv2.imread(str(tmp_path / "out/labels" / f"{seed:02d}.png"), cv2.IMREAD_UNCHANGED)
        assert expected.shape == size
        seen |= set(np.unique(expected))
        for outputs in (good[seed], good[seed + len(SIZES)]):
            assert outputs["label_map"].dtype == np.uint8
            np.testing.assert_array_equal(outputs["label_map"], expected[None])
    assert len(seen) > 3


def test_batches_and_other_outputs(run, answers):
    good, _ = answers
    batch, from_files, grey, alpha = good[-4:]
    assert batch["label_map"].shape == (2, 20, 30)
    np.testing.assert_array_equal(batch["label_map"], from_files["label_map"])
    assert grey["label_map"].shape == alpha["label_map"].shape == (1, 9, 13)
    colors = np.array(CITYSCAPES_CLASSES.colors, np.uint8)
    for outputs in good:
        np.testing.assert_array_equal(outputs["color_map"], colors[outputs["label_map"]])
        assert outputs["confidence"].dtype == np.float32
        assert outputs["confidence"].min() >= 1 / 19 and outputs["confidence"].max() <= 1

    inference = trained.load([run.directory]).inference
    labels, confidence = inference.segment_with_confidence(tf.constant(photo(*SIZES[5], 5)[None]))
    np.testing.assert_allclose(good[5]["confidence"], confidence, rtol=1e-4)
    assert (good[5]["label_map"] == labels).numpy().mean() > 0.999


def test_hostile_requests_are_refused_in_words(answers):
    _, refused = answers
    messages = [message for message, group in HOSTILE.items() for _ in group]
    for message, answer in zip(messages, refused, strict=True):
        assert isinstance(answer, str), (message, answer)
        assert message in answer


def test_signatures(run, model):
    signatures = tf.saved_model.load(str(model)).signatures
    assert set(signatures) == {"serving_default", "serving_bytes"}
    (specs,) = [signatures["serving_default"].structured_input_signature[1]]
    assert specs["images"].shape.as_list() == [None, None, None, 3] and specs["images"].dtype == tf.uint8
    outputs = signatures["serving_default"].structured_outputs
    assert {name: spec.shape.rank for name, spec in outputs.items()} == {
        "label_map": 3,
        "confidence": 3,
        "color_map": 4,
    }
    # Only what the branches need: no discriminator, no stage-3 classifier.
    reader = tf.train.load_checkpoint(str(model / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    saved = sum(int(np.prod(shape)) for name, shape in shapes.items() if name.endswith("VARIABLE_VALUE"))
    (member,) = trained.load([run.directory]).inference.members
    network = member.segmenter
    needed = network.backbone.count_params() + sum(c.count_params() for c in network.output_module.classifiers)
    assert saved == needed


def test_metadata(run, model):
    value = json.loads((model / "assets.extra" / "metadata.json").read_text())
    assert value["target"] == "cityscapes" and value["merge"] == "max-logit"
    assert value["branches"] == {"S1": "gta5", "S2": "synthia", "S-All": "gta5 + synthia"}
    assert value["classes"][13] == {"train_id": 13, "name": "car", "color": [0, 0, 142]}
    assert value["inputs_of_networks"] == [{"mean_rgb": list(run.mean_rgb), "scale": 1.0, "size": None}]
    (network,) = value["networks"]
    assert (network["network"], network["step"]) == ("joint/networks/joint", 10)
    assert network["selected_on_target_labels"] is False
    info = next(run.directory.glob("networks/joint/checkpoints/*10/checkpoint.json"))
    assert network["checkpoint_sha256"] == hashlib.sha256(info.read_bytes()).hexdigest()
    assert value["miou"] is None
    assert set(value["runs"][0]) == {"name", "sources", "started", "git", "packages", "dataset_sha256"}


def test_warm_up_requests_run(model):
    """Read with the package that defines the messages, and answered by the model."""
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    signatures = tf.saved_model.load(str(model)).signatures
    found = []
    for record in tfrecord.read(model / "assets.extra" / "tf_serving_warmup_requests"):
        request = logs.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        outputs = signatures[request.model_spec.signature_name](**inputs)
        assert outputs["label_map"].shape == (1, 65, 129)
        found.append(request.model_spec.signature_name)
    assert found == ["serving_default", "serving_bytes"]


def test_options(run, tmp_path):
    """A fixed size, half resolution, chosen branches and another rule; the score comes from the same weights only."""
    scored = trained.load([run.directory], branches=["S-All"])
    matrix = np.eye(19, 20, dtype=np.int64)
    metrics.write(
        metrics.Metrics("cityscapes", "test", 3, scored.classes.names, {"S-All": matrix}, scored.made_from().to_json()),
        run.directory / "metrics.json",
    )
    options = ["--size", "40x24", "--scale", "0.5", "--branches", "S-All", "--merge", "mean-probability"]
    try:
        assert msda_tf("export", "--run", run.directory, "--output", tmp_path, *options) == 0
    finally:
        (run.directory / "metrics.json").unlink()
    value = json.loads((tmp_path / "1/assets.extra/metadata.json").read_text())
    assert value["merged"] == ["S-All"] and value["merge"] == "mean-probability"
    assert value["inputs_of_networks"][0]["scale"] == 0.5 and value["limits"]["size"] == [24, 40]
    assert value["miou"]["all_classes"] == 1.0 and value["miou"]["images"] == 3

    segment = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    image = photo(24, 40)
    labels = segment(images=tf.constant(image[None]))["label_map"].numpy()
    assert labels.shape == (1, 24, 40)
    (member,) = scored.inference.members
    half = np.asarray(Image.fromarray(image).resize((20, 12), Image.Resampling.BICUBIC)).astype(np.float32)
    maps = member.segmenter(half[None] - np.float32(run.mean_rgb))["output"]["S-All"]
    large = tf.compat.v1.image.resize_bilinear(maps, (24, 40), align_corners=True).numpy()
    assert (labels == large.argmax(-1)).mean() > 0.98
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)):
        segment(images=tf.zeros([1, 24, 41, 3], tf.uint8))


def test_bad_input_ends_in_one_line(run, tmp_path, capsys):
    (tmp_path / "file").touch()
    chosen = ["--run", run.directory, "--output", tmp_path / "model"]
    for arguments, message in (
        (["--run", tmp_path, "--output", tmp_path / "model"], "is not a run directory"),
        (["--run", run.directory, "--output", tmp_path / "file"], "file is a file"),
        ([*chosen, "--branches", "S7"], "no branch 'S7'"),
        ([*chosen, "--size", "big"], "'big' is no size"),
        ([*chosen, "--size", "9" * 5000 + "x1"], "99' is no size"),
        ([*chosen, "--size", "99999x99999"], "more pixels than the 8388608 that a request may have"),
        ([*chosen, "--max-pixels", "9" * 30], "--max-pixels"),
        ([*chosen, "--scale", "0"], "--scale"),
        ([*chosen, "--fold-batch-norm"], "nothing to fold"),
        ([*chosen, "--format", "tflite"], "--size WIDTHxHEIGHT"),
        ([*chosen, "--format", "onnx", "--scale", "0.5"], "no antialiased resize"),
        ([*chosen, "--format", "onnx", "--store", "bfloat16"], "leave --store bfloat16 out"),
        (["--run", run.directory], "--output"),
    ):
        assert msda_tf("export", *arguments) == 2, message
        printed = capsys.readouterr()
        (line,) = [line for line in printed.err.splitlines() if line.startswith("msda-tf: ")]
        assert message in line, line
    assert not (tmp_path / "model").exists()
