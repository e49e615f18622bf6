"""The serving example: its load script, and that its files agree with each other."""

import importlib.util
import pathlib
import re
import sys

import numpy as np
import pytest
import stub_server
import yaml
from PIL import Image

FOLDER = pathlib.Path(__file__).parents[2] / "examples" / "serving"


class Still(stub_server.Model):
    """A model that gives a label map of zeros."""

    def __init__(self):
        self.name, self.unavailable, self.delay, self.garbage, self.requests = "msda", 0, 0.0, None, 0

    def run(self, signature, inputs):
        return {"label_map": np.zeros((1, 4, 5), np.uint8)}


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Runs the load script with options, on an image."""
    spec = importlib.util.spec_from_file_location("load", FOLDER / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "frame.png")

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["load.py", "--image", str(tmp_path / "frame.png"), *options])
        module.main()

    run.report = module.report
    return run


def test_load_over_rest(load, capsys):
    model = Still()
    with stub_server.rest(model) as url:
        load("--url", url, "--requests", "20", "--clients", "4")
        printed = capsys.readouterr()
        assert re.search(r"^20 requests in .* requests/s$", printed.out, re.MULTILINE)
        assert model.requests == 24 and not printed.err

        model.unavailable = 5
        load("--url", url, "--requests", "10", "--clients", "1")
        printed = capsys.readouterr()
        assert printed.out.startswith("6 requests") and "5 failed" in printed.err and "503" in printed.err

        model.unavailable = 100
        with pytest.raises(SystemExit, match="no request was answered"):
            load("--url", url, "--requests", "2", "--clients", "1")


def test_load_over_grpc(load, capsys):
    pytest.importorskip("tensorflow_serving")
    with stub_server.grpc_server(Still()) as address:
        load("--grpc", address, "--requests", "6", "--clients", "2")
    assert capsys.readouterr().out.startswith("6 requests")


def test_percentiles(load):
    lines = load.report([number / 1000 for number in range(1, 102)], 2.0).splitlines()
    assert lines == [
        "101 requests in 2.0 s: 50.50 requests/s",
        "latency in ms: p50 51.0, p90 91.0, p95 96.0, p99 100.0, longest 101.0",
    ]


def test_compose_file_names_what_is_there():
    services = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())["services"]
    assert set(services) == {"cpu", "gpu"}
    for name, service in services.items():
        assert service["profiles"] == [name]
        assert service["environment"]["MODEL_NAME"] == "msda"
        assert service["ports"] == ["8500:8500", "8501:8501"]
        for config in re.findall(r"/config/(\S+)", " ".join(service["command"])):
            assert (FOLDER / config).is_file()
