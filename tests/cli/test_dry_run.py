"""`msda-tf train --dry-run` and the options that choose how a step is computed."""

import re

import command

from msda_tf import config as configuration
from msda_tf import dry_run
from msda_tf.config.branches import plan
from msda_tf.data import manifest as manifests
from msda_tf.inference.networks import build_segmenter
from msda_tf.training import memory


def run(capsys, *arguments):
    """(exit code, standard output, standard error) of `msda-tf train ...`."""
    return command.run(capsys, "train", *arguments)


def number(pattern, text):
    return float(re.search(pattern, text).group(1).replace(",", ""))


def test_shows_the_cost_of_every_network_and_writes_nothing(capsys, prepared_data, tmp_path, monkeypatch, shallow):
    monkeypatch.chdir(tmp_path)
    settings = {"target": "cityscapes", "data": str(prepared_data), "aspp_rates": [2], "layout": "s-all"}
    arguments = ["--preset", "tiny", "--target", "cityscapes", "--data", prepared_data, "--set", "aspp_rates=[2]"]
    arguments += ["--layout", "s-all"]
    code, output, _ = run(capsys, *arguments, "--dry-run")
    assert code == 0
    assert not list(tmp_path.iterdir())
    texts = output.strip().split("\n\n")
    config, _ = configuration.resolve(preset="tiny", settings=settings)
    networks = plan(config)
    assert len(texts) == len(networks) == 1
    for text, network in zip(texts, networks, strict=True):
        segmenter = build_segmenter(config, network, 19)
        assert f"network:    {network.name}: branches {', '.join(network.branches)}" in text
        assert "cityscapes 129x65, gta5 129x65, synthia 129x65; batch 2, float32" in text
        trained = sum(variable.value.shape.num_elements() for variable in segmenter.trainable_variables)
        assert number(r"parameters: +([\d,]+) trained", text) == trained
        assert number(r"([\d,]+) frozen", text) == segmenter.count_params() - trained
        assert number(r"step: +([\d.]+) images", text) == 2 * (len(network.feeds) + 1)
        assert number(r"([\d,.]+) GFLOP ", text) > 0
        first, then = number(r"first step ([\d.]+) s", text), number(r"then ([\d.]+) s", text)
        assert first > then > 0
        assert re.search(r"1200 steps in (\d+ h )?\d+ min", text)
        assert "together" not in text  # it is for GPUs


def test_domains_pass_together_where_a_gpu_has_the_memory(prepared_data, monkeypatch, shallow):
    settings = {"target": "cityscapes", "data": str(prepared_data), "aspp_rates": [2], "layout": "s-all"}
    config, _ = configuration.resolve(preset="tiny", settings=settings)
    monkeypatch.setattr(memory, "gpu_limit", lambda: 1 << 40)
    (roomy,) = dry_run.dry_run(config)
    # Less than passing together needs with some room to spare, and enough for passing apart.
    limit = int((roomy.step_bytes + roomy.variable_bytes) / 0.8)
    monkeypatch.setattr(memory, "gpu_limit", lambda: limit)
    (small,) = dry_run.dry_run(config)
    assert (roomy.together, small.together) == (True, False)
    assert roomy.step_bytes > small.step_bytes and roomy.flops == small.flops


def test_parameters_by_part_are_all_there_are(prepared_data):
    settings = {"target": "cityscapes", "data": str(prepared_data)}
    for extra in ({}, {"norm": "frozen"}, {"method": "supervised", "layout": "s-all"}):
        config, _ = configuration.resolve(preset="tiny", settings=settings | extra)
        for network in plan(config):
            segmenter = build_segmenter(config, network, len(manifests.find(prepared_data, "gta5").classes))
            counts = dry_run.parameters(segmenter)
            assert sum(counts.values()) == segmenter.count_params()
            assert (counts["frozen"] > 0) == (config.norm == "frozen")
            assert (counts["discriminators"] > 0) == (config.method == "adversarial")


def test_refuses_what_training_refuses(capsys, prepared_data):
    code, _, error = run(capsys, "--target", "mars", "--sources", "gta5", "--data", prepared_data, "--dry-run")
    assert code == 2
    assert "data set 'mars' is not prepared" in error


def test_options_are_settings(capsys):
    arguments = ["--target", "gta5", "--print-config"]
    _, output, _ = run(capsys, *arguments, "--precision", "mixed_float16", "--jit", "--recompute")
    for line in (r"precision: mixed_float16 +# command line", r"jit: true +# command line", r"recompute: true +# comm"):
        assert re.search(f"^{line}", output, re.MULTILINE), line
    _, output, _ = run(capsys, *arguments, "--set", "jit=true")
    assert re.search("^jit: true +# command line", output, re.MULTILINE)
    assert re.search("^recompute: false +# default", output, re.MULTILINE)
    code, _, error = run(capsys, *arguments, "--precision", "half")
    assert code == 2
    assert "'half' is not one of" in error
