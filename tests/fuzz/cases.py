"""The cases: each changes a right file, or gives settings, and asks the command or a public function about it.

A case gets a random generator, the world, and an empty folder; it returns the words of a command line, or calls
functions and returns None. The answer must be success or an error of the project's own, in one line.
"""

import contextlib
import http.server
import json
import pathlib
import pickle
import random
import shutil
import threading
import zipfile

import h5py
import numpy as np
import tensorflow as tf
import yaml
from fuzz import mutations
from fuzz.world import World
from PIL import Image

from msda_tf import config as configuration
from msda_tf import files, runs, train, weights
from msda_tf.beam import runner as runners
from msda_tf.cli import main
from msda_tf.config import FIELDS, knobs
from msda_tf.config.branches import plan
from msda_tf.data import class_counts, manifest, pipeline
from msda_tf.data.corrupt import CorruptRecords
from msda_tf.data_prep import catalog
from msda_tf.data_prep.downloads import fetch, unpack
from msda_tf.data_prep.files import film_frames
from msda_tf.data_prep.readers import READERS
from msda_tf.inference.networks import build_segmenter
from msda_tf.prediction import record, video
from msda_tf.runs import beginning
from msda_tf.stylize import config as stylize_config
from msda_tf.stylize.config import StylizeConfig
from msda_tf.training import checkpoint_files, log, progress
from msda_tf.weights import keras_file, safetensors_file, torch_file


def _prepare(world: World, here: pathlib.Path, *more, raw=None, description=None) -> list:
    described = description or world.raw / "c.yaml"
    fixed = ["prepare", "--dataset", "custom", "--config", described, "--raw", raw or world.raw]
    return [*fixed, "--output", here / "out", "--workers", 1, *more]


def description(rng: random.Random, world: World, here: pathlib.Path):
    """A data set's description."""
    known = [world.raw / "c.yaml"] * 9 + [catalog.path(name) for name in catalog.names()]
    content = rng.choice(known).read_bytes()
    (here / "c.yaml").write_bytes(mutations.yaml_bytes(rng, content))
    return _prepare(world, here, "--on-error", rng.choice(("skip", "fail")), description=here / "c.yaml")


def class_map(rng, world, here):
    """A class map."""
    (here / "m.yaml").write_bytes(mutations.yaml_bytes(rng, (world.other / "map.yaml").read_bytes()))
    return _prepare(world, here, "--class-map", here / "m.yaml")


def settings_file(rng, world, here):
    """A file of settings."""
    (here / "t.yaml").write_bytes(mutations.yaml_bytes(rng, (world.other / "train.yaml").read_bytes()))
    command = rng.choice((["train"], ["stylize", "train"]))
    return [*command, "--config", here / "t.yaml", "--data", world.data, "--print-config"]


def _setting(rng: random.Random, fields) -> tuple[str, str]:
    name = rng.choice([*fields, rng.choice(mutations.WORDS)])
    given = rng.choice((mutations.value(rng), rng.choice(mutations.NUMBERS), rng.choice(mutations.WORDS)))
    text = given if isinstance(given, str) else repr(given) if rng.random() < 0.5 else json.dumps(given)
    known = fields[name].metadata["choices"] if name in fields else ()
    if known and rng.random() < 0.5:
        text = str(rng.choice(known))
    return name, rng.choice((text, text, f"[{text}, {text}]", rng.choice(mutations.YAML)))[:20_000]


def settings(rng, world, here):
    """Settings of the command line, up to the moment when training would begin."""
    given = {"target": "b", "sources": "a", "data": str(world.data), "preset": "tiny"}
    preset = given.pop("preset")
    given |= dict(_setting(rng, FIELDS) for _ in range(rng.choice((1, 1, 2, 4))))
    config, _ = configuration.resolve(preset=preset, settings=given)
    configuration.validate(config)
    yaml.safe_dump(configuration.to_dict(config))
    manifests = train.load_manifests(config)
    train.check_batch(config, manifests, tf.distribute.get_strategy())
    runs.create(here / "run", config, manifests)
    beginning.check_there(runs.read(here / "run"))


def stylize_settings(rng, world, here):
    """Settings of UNIT."""
    given = {"source": "a", "target": "b", "data": str(world.data)}
    given |= dict(_setting(rng, knobs.fields(StylizeConfig)) for _ in range(rng.choice((1, 2, 4))))
    config, _ = stylize_config.resolve(preset="miniature", settings=given)
    stylize_config.validate(config)


def beam_options(rng, world, here):
    """Options of Beam's runners."""
    names = ("direct_num_workers", "direct_running_mode", "flink_master", "flink_submit_uber_jar", "job_endpoint")
    names += ("environment_config", "beam_plugins", "region", "labels", "number_of_worker_harness_threads", "runner")
    given = [(rng.choice([*names, rng.choice(mutations.WORDS)]), rng.choice(mutations.WORDS + mutations.NUMBERS))]
    given += [(rng.choice(names), mutations.value(rng)) for _ in range(rng.choice((0, 1, 3)))]
    settings = tuple(f"{name}={value}" for name, value in given) + tuple(rng.choices(("", "=", "a", "a=b=c"), k=1))
    runners.choose(rng.choice((*runners.RUNNERS, runners.DATAFLOW, "x")), settings[: rng.choice((1, 2, 9))])


def _copied_set(world: World, here: pathlib.Path) -> pathlib.Path:
    shutil.copytree(world.data, here / "data")
    return here / "data" / "a"


def _look_at_set(rng, here, data: pathlib.Path):
    kind = rng.randrange(6)
    if kind == 0:
        return ["inspect", data, "--output", here / "o"]
    if kind == 1:
        return ["prepare", "--dataset", "custom", "--config", data / "c.yaml", "--output", data.parent, "--verify"]
    if kind == 2:
        return ["train", "--data", data.parent, "--target", "b", "--sources", "a", "--print-config"]
    if kind == 3:
        return ["inspect", data, data.parent / "b", "--target", data.parent / "b", "--common", here / "common.yaml"]
    found = manifest.read(data)
    if kind == 4:
        class_counts.check(found)
        for split, each in found.splits.items():
            if each.labelled:
                class_counts.read(found, split)
    corrupt = CorruptRecords(limit=rng.choice((0, 3)))
    with corrupt.raising():
        for _ in pipeline.evaluation_images(found, found.evaluation_split or found.training_split, corrupt=corrupt):
            pass
    return None


def data_set(rng, world, here):
    """dataset.json."""
    data = _copied_set(world, here)
    shutil.copy(world.raw / "c.yaml", data)
    path = data / manifest.FILE_NAME
    path.write_bytes(mutations.json_bytes(rng, path.read_bytes()))
    return _look_at_set(rng, here, data)


def shard(rng, world, here):
    """A shard, the table of class counts, or a hidden note, of which dataset.json knows nothing, or all."""
    data = _copied_set(world, here)
    shutil.copy(world.raw / "c.yaml", data)
    path = rng.choice(sorted(path for path in data.iterdir() if path.name not in (manifest.FILE_NAME, "c.yaml")))
    before = path.read_bytes()
    path.write_bytes(mutations.damaged(rng, before, first=rng.choice((16, 128, None))))
    if rng.random() < 0.5:  # somebody who changes the file and its checksum
        text = (data / manifest.FILE_NAME).read_text()
        (data / manifest.FILE_NAME).write_text(
            text.replace(files.hashlib.sha256(before).hexdigest(), files.sha256(path)).replace(
                f'"bytes": {len(before)}', f'"bytes": {path.stat().st_size}'
            )
        )
    return _look_at_set(rng, here, data)


def notes(rng, world, here):
    """What an earlier prepare left, read by the next."""
    data = _copied_set(world, here)
    shutil.rmtree(data.parent / "b")
    for path in rng.sample(sorted(data.iterdir()), rng.choice((1, 2))):
        kind = mutations.json_bytes if path.suffix == ".json" else mutations.damaged
        path.write_bytes(kind(rng, path.read_bytes()))
    if rng.random() < 0.7:
        (data / manifest.FILE_NAME).unlink()
    (here / "data").rename(here / "out")
    return _prepare(world, here)


def images(rng, world, here):
    """Image files, as a folder."""
    (here / "raw").mkdir()
    for path in rng.sample(sorted(world.images.iterdir()), rng.choice((1, 1, 3))):
        content = mutations.damaged(rng, path.read_bytes() or b"\0", first=rng.choice((40, 200, None)))
        (here / "raw" / path.name).write_bytes(content)
    shutil.copy(world.raw / "rgb/0.png", here / "raw/whole.png")
    more = rng.choice(([], ["--scale", 0.5], ["--image-format", "png"]))
    fixed = ["prepare", "--dataset", "folder", "--raw", here / "raw", "--name", "f", "--output", here / "out", *more]
    return [*fixed, "--on-error", rng.choice(("skip", "skip", "fail")), "--workers", 1]


def label_images(rng, world, here):
    """Label files of every encoding."""
    shutil.copytree(world.raw, here / "raw")
    encoding = rng.choice(("ids", "palette", "rgb", "red", "polygons"))
    text = (here / "raw/c.yaml").read_text().replace("labels: ids", f"labels: {encoding}")
    if encoding in ("palette", "rgb", "polygons"):
        text = text.partition("map:")[0]
    if encoding == "polygons":
        text = text.replace("gt/*.png", "gt/*.json")
        whole = (world.other / "polygons.json").read_bytes()
        for path in (here / "raw").rglob("gt/*.png"):
            path.with_suffix(".json").write_bytes(mutations.json_bytes(rng, whole) if rng.random() < 0.5 else whole)
    else:
        for path in (here / "raw").rglob("gt/*.png"):
            content = rng.choice((path, rng.choice(sorted(world.images.iterdir())))).read_bytes()
            path.write_bytes(mutations.damaged(rng, content or b"\0", first=rng.choice((40, 200, None))))
    (here / "raw/c.yaml").write_text(text)
    return _prepare(world, here, "--on-error", "skip", raw=here / "raw", description=here / "raw/c.yaml")


_STATE = ("run.json", "config.yaml", "metrics.json", "metrics.jsonl", "progress.json", "checkpoint.json")


def _damage_run(rng, run: pathlib.Path) -> None:
    found = [path for path in run.rglob("*") if path.is_file() and "tfevents" not in path.name]
    state = [path for path in found if path.name in _STATE]
    for path in rng.sample(sorted(state), rng.choice((1, 1, 2))) if rng.random() < 0.9 else [rng.choice(sorted(found))]:
        content = path.read_bytes()
        if path.suffix == ".json":
            path.write_bytes(mutations.json_bytes(rng, content))
        elif path.suffix == ".yaml":
            path.write_bytes(mutations.yaml_bytes(rng, content))
        elif path.suffix == ".jsonl" and rng.random() < 0.7:
            lines = content.splitlines()
            at = rng.randrange(len(lines))
            lines[at] = json.dumps(mutations.changed(rng, json.loads(lines[at]))).encode()
            path.write_bytes(b"\n".join(lines))
        else:
            path.write_bytes(mutations.damaged(rng, content))


def run(rng, world, here):
    """A run's files, read without its networks."""
    shutil.copytree(world.run, here / "r")
    _damage_run(rng, here / "r")
    if rng.random() < 0.6:
        return ["runs", here]
    found = runs.read(here / "r")
    beginning.check_there(found)
    for network in plan(found.config):
        folder = found.folder(network)
        log.read(folder.log)
        log.cut(folder.log, rng.choice((None, 1)))
        best = checkpoint_files.best(folder.checkpoints)
        for path in checkpoint_files.folders(folder.checkpoints).values():
            checkpoint_files.damage(path)
        progress.check(folder, restored=best, steps=found.config.steps, checkpoint_every=found.config.checkpoint_every)
    runs.check_same(found, found.config, {})
    return None


def whole_run(rng, world, here):
    """A run's files, by the commands that load its networks: seconds each."""
    shutil.copytree(world.run, here / "r")
    _damage_run(rng, here / "r")
    kind = rng.randrange(3)
    if kind == 0:
        return ["evaluate", "--run", here / "r", "--limit", 1, "--json", here / "m.json"]
    if kind == 1:
        return ["report", "--run", here / "r", "--limit", 1, "--output", here / "r.html"]
    return ["export", "--run", here / "r", "--output", here / "e", "--size", "64x48"]


def experiment(rng, world, here):
    """A table's runs and scores."""
    (here / "e/cityscapes-1/seed0").mkdir(parents=True)
    shutil.copytree(world.run, here / "e/cityscapes-1/seed0/adapted")
    _damage_run(rng, here / "e/cityscapes-1/seed0/adapted")
    fixed = ["experiment", "--grid", "miniature", "--dry-run", "--output", here / "e", "--data", world.data]
    name, text = _setting(rng, FIELDS)
    return [*fixed, *(["--set", f"{name}={text}"] if rng.random() < 0.3 else [])]


def results_record(rng, world, here):
    """The record of predictions."""
    made_from = {"networks": [{"network": "r/networks/s", "step": 2, "checkpoint_sha256": "1" * 64}], "merged": ["S1"]}
    head = {"format": 1, "made_from": made_from, "data_sets": {"a": "2" * 64}}
    lines = [head, {"result": "a.png", "sha256": "3" * 64}, {"result": "d/b.png", "sha256": "4" * 64}]
    at = rng.randrange(3)
    lines[at] = mutations.changed(rng, lines[at])
    content = "\n".join(map(json.dumps, lines)).encode()
    path = here / record.FILE_NAME
    path.write_bytes(content if rng.random() < 0.7 else mutations.damaged(rng, content))
    found = record.read(here)
    record.check_same(found, made_from)


def film(rng, world, here):
    """A film as a target, or what was noted of its frames."""
    source = here / "v.avi"
    shutil.copy2(world.other / "v.avi", source)
    ask = ["prepare", "--dataset", "folder", "--raw", source, "--output", here / "out", "--name", "f", "--workers", 1]
    if rng.random() < 0.5:
        source.write_bytes(mutations.damaged(rng, source.read_bytes(), first=rng.choice((64, 400, None))))
        return [*ask, "--every", rng.choice((1e-9, 0.1, 3600, mutations.value(rng)))]
    film_frames.extract(source, here / "out" / "raw" / "f")
    mark = here / "out" / "raw" / "f" / "film.json"
    mark.write_bytes(mutations.json_bytes(rng, mark.read_bytes()))
    return [*ask, *(["--force"] if rng.random() < 0.2 else [])]


def video_file(rng, world, here):
    """A video."""
    content = (world.other / "v.avi").read_bytes()
    (here / "v.avi").write_bytes(mutations.damaged(rng, content, first=rng.choice((64, 400, None))))

    def segment(images):
        return {"labels": tf.zeros(tf.shape(images)[:3], tf.uint8)}

    classes = manifest.read(world.data / "a").classes
    video.predict(here / "v.avi", here / "o", segment, kinds=["labels"], classes=classes)


def archive(rng, world, here):
    """A downloaded archive, and the notes beside it."""
    name = rng.choice(("a.zip", "a.tar.gz"))
    (here / name).write_bytes(mutations.damaged(rng, (world.other / name).read_bytes(), first=rng.choice((64, None))))
    mark = mutations.changed(rng, {"bytes": 1, "into": "x", "files": 2})
    (here / f".{name}.unpacked.json").write_text(json.dumps(mark))
    unpack.unpack(here / name, here / "out")


def downloads(rng, world, here):
    """The list of what was fetched."""
    known = {"x.zip": {"url": "file:///none", "bytes": 3, "sha256": "5" * 64}}
    (here / "downloads.json").write_text(json.dumps(mutations.changed(rng, known)))
    with contextlib.suppress(OSError, ValueError):
        (here / rng.choice(mutations.WORDS)).write_text("abc")
    fetch.fetch("http://127.0.0.1:9/x.zip", here)


def weight_file(rng, world, here):
    """A file of weights of another program."""
    kind, path = rng.randrange(4), here / "w"
    if kind == 0:
        known = {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {}}
        header = json.dumps(mutations.changed(rng, known)).encode()
        content = len(header).to_bytes(8, "little") + header + bytes(16)
        path.write_bytes(mutations.damaged(rng, content, first=8) if rng.random() < 0.3 else content)
        safetensors_file.read(path)
    elif kind == 1:
        with h5py.File(path, "w") as file:
            file.create_group("conv1").create_dataset("kernel:0", data=np.zeros((3, 3)))
        path.write_bytes(mutations.damaged(rng, path.read_bytes()))
        keras_file.read(path)
    else:
        content = mutations.damaged(rng, pickle.dumps({"a": [1, (2.5, None)], "b": {"c": "d"}}, 2))
        path.write_bytes(content)
        if kind == 3:
            with zipfile.ZipFile(path, "w") as file:
                file.writestr("w/data.pkl", content)
                file.writestr("w/data/0", bytes(16))
        torch_file.read(path)


def init(rng, world, here):
    """Starting weights from a damaged run, or from any other path."""
    shutil.copytree(world.run, here / "r")
    _damage_run(rng, here / "r")
    source = rng.choice((here / "r", here / "r", world.raw, here / "none", *world.other.iterdir(), *mutations.WORDS))
    found = runs.read(world.run)
    segmenter = build_segmenter(found.config, found.networks[0], len(found.classes), discriminators=False)
    weights.initialize(segmenter, str(source))


def answer(rng, world, here):
    """What a server says."""
    right = {"outputs": {"label_map": [[[0, 1]] * 3], "color_map": [[[[1, 2, 3]] * 2] * 3]}}
    data = json.dumps(mutations.changed(rng, right)).encode()
    if rng.random() < 0.2:
        data = mutations.damaged(rng, data)
    status = rng.choice((200, 200, 200, 200, 400, 404, 500, 302))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    Image.new("RGB", (2, 3)).save(here / "x.png")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/models/m"
    return ["query", "--url", url, "--input", here / "x.png", "--output", here / "o", "--retries", 0, "--timeout", 5]


_COMMANDS = {
    "prepare": [],
    "inspect": [],
    "runs": [],
    "train": ["--print-config"],
    "evaluate": [],
    "predict": [],
    "export": [],
    "report": [],
    "experiment": ["--dry-run"],
    "datasets": [],
    "query": ["--retries", "0", "--timeout", "1"],
    "stylize": [],
}


def options(rng, world, here):
    """Options of every command, with values that they were not made for."""
    name = rng.choice([*_COMMANDS])
    known = main.cli.get_command(None, name)
    before = [name]
    if name == "stylize":
        part = rng.choice(("train", "apply"))
        before.append(part)
        known = known.commands[part]
    for folder in (world.raw, world.data, world.run, world.other):
        shutil.copytree(folder, here / folder.name)
    paths = [here / name for name in ("raw", "data", "data/a", world.run.name, "other/map.yaml", "new")]
    paths += ["/dev/null", "/proc/1/mem"]
    words = list(before)
    if name == "prepare":
        words += ["--dataset", rng.choice([*READERS, "folder", "custom", "x"])]
    params = [each for each in known.params if each.name not in ("help", "verify", "version")]
    for each in rng.sample(params, min(len(params), rng.choice((1, 2, 3, 5)))):
        flag = getattr(each, "is_flag", False)
        text = str(rng.choice((rng.choice(paths), rng.choice(mutations.WORDS), rng.choice(mutations.NUMBERS))))
        if name == "datasets" and text == "get":
            continue
        option = [each.opts[0]] if each.opts[0].startswith("-") else []
        words += option if flag else [*option, text[:4000]]
    words += ["--print-config"] if before == ["stylize", "train"] else _COMMANDS[name]
    if "miniature" in words and "prepare" in words:
        words += ["--train-frames", "1", "--test-frames", "1", "--height", "32"]
    return words


ALL = {
    each.__name__: (each, weight)
    for each, weight in {
        description: 8,
        class_map: 4,
        settings_file: 4,
        settings: 8,
        stylize_settings: 3,
        beam_options: 2,
        data_set: 10,
        shard: 8,
        notes: 5,
        images: 10,
        label_images: 8,
        run: 10,
        experiment: 4,
        results_record: 3,
        film: 3,
        video_file: 3,
        archive: 4,
        downloads: 2,
        weight_file: 6,
        answer: 4,
        options: 10,
        init: 1,
        whole_run: 1,
    }.items()
}
"""Name -> (case, how often it is drawn)."""
