"""Starting from another run of this project."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf
import yaml
from networks import SMALL, relative_error, set_weights, small_segmenter, torch_shapes
from seeded import seeded_image, seeded_state
from small_backbones import DINO, LITE_STAGES, MIT

from msda_tf import files, runs, weights
from msda_tf.config import TrainConfig, to_dict
from msda_tf.config.branches import plan as networks_of
from msda_tf.errors import MsdaError, UsageError
from msda_tf.models.backbones.dinov2 import DinoV2
from msda_tf.models.backbones.efficientnet_lite import EfficientNetLite
from msda_tf.models.backbones.mit import MiT
from msda_tf.models.segmenter import MultiSourceSegmenter
from msda_tf.runs.run import FORMAT
from msda_tf.training.checkpoints import Checkpoints

CLASSES = 5


def segmenter(**options):
    return small_segmenter(**{"num_classes": CLASSES, "branches": ("S1", "S2"), **options})


def trained(**options):
    """A network with weights that no other network has."""
    network = segmenter(**options)
    set_weights(network, seeded_state(torch_shapes(network)))
    return network


def write_run(directory, networks, **options):
    """A run directory with a checkpoint (step 20) and an older one (step 10, all zeros) for each network."""
    config = TrainConfig(target="cityscapes", sources=("gta5", "synthia"), **options)
    directory.mkdir()
    (directory / "config.yaml").write_text(yaml.safe_dump(to_dict(config)))
    classes = [{"name": str(number), "color": [0, 0, 0]} for number in range(CLASSES)]
    size = {"dataset.json": "", "width": 65, "height": 33}
    info = {
        "format": FORMAT,
        "classes": classes,
        "mean_rgb": [1, 2, 3],
        "networks": {network.name: list(network.branches) for network in networks_of(config)},
        "datasets": dict.fromkeys(("cityscapes", "gta5", "synthia"), size),
        "provenance": {},
    }
    files.write_json(directory / "run.json", info)
    run = runs.read(directory)
    for plan in run.networks:
        if plan.name in networks:
            network = networks[plan.name]
            checkpoints = Checkpoints(run.folder(plan).checkpoints)
            values = [variable.numpy() for variable in network.variables]
            for variable in network.variables:
                variable.assign(tf.zeros(variable.shape))
            best = 10 if options.get("select") == "best" else None
            checkpoints.save({"segmenter": network}, step=10, state={}, best=best)
            for variable, value in zip(network.variables, values, strict=True):
                variable.assign(value)
            checkpoints.save({"segmenter": network}, step=20, state={}, best=best)
    return directory


def same_maps(one, other, branches=("S1",), other_branches=None):
    images = seeded_image("image", 33, 65)
    for level in ("feature", "output"):
        maps, others = (network(images)[level] for network in (one, other))
        for own, theirs in zip(branches, other_branches or branches, strict=True):
            assert relative_error(maps[own], others[theirs].numpy()) < 1e-6


def test_any_folder_of_a_run_will_do(tmp_path):
    options = {"discriminators": "branch", "discriminator_width": 2}
    network, other = trained(**options), segmenter(**options)
    run = write_run(tmp_path / "run", {"sources": network})
    checkpoint = run / "networks/sources/checkpoints/step-00000020"
    for path in (run, *checkpoint.parents[:2], checkpoint, checkpoint / "weights", checkpoint / "weights.index"):
        for variable in other.variables:
            variable.assign(tf.zeros(variable.shape))
        report = weights.initialize(other, str(path))
        assert report.kind == "checkpoint of this project"
        assert report.sha256 == hashlib.sha256((checkpoint / "checkpoint.json").read_bytes()).hexdigest()
        assert (report.missing, report.unused) == ((), ())
        for own, theirs in zip(other.variables, network.variables, strict=True):
            np.testing.assert_array_equal(own, theirs)


@pytest.mark.parametrize(
    ("family", "decoder"),
    [("efficientnet-lite", "atrous"), ("mit", "daformer"), ("mit", "mlp"), ("dinov2", "transposed")],
)
def test_every_backbone_and_decoder_starts_from_a_run_of_its_own(tmp_path, family, decoder):
    backbone = {
        "efficientnet-lite": lambda **options: EfficientNetLite(LITE_STAGES, **options),
        "mit": lambda norm, recompute: MiT(MIT, recompute=recompute),
        "dinov2": lambda norm, recompute: DinoV2(DINO, recompute=recompute),
    }[family]
    given = {
        "branches": ("S-All",),
        "num_classes": CLASSES,
        "rates": (2,),
        "discriminators": "none",
        "decoder": decoder,
    }
    network, other = (MultiSourceSegmenter(backbone=backbone, **given) for _ in range(2))
    for number, each in enumerate((network, other)):
        each.create_variables()
        for variable in each.variables:
            variable.assign(np.full(variable.shape, number))
    run = write_run(tmp_path / "run", {"s-all": network}, layout="s-all")
    report = weights.initialize(other, str(run))
    assert (report.missing, report.unused) == ((), ())
    for variable in other.variables:
        np.testing.assert_array_equal(variable, np.zeros(variable.shape))


def test_the_network_with_the_same_branches_is_taken(tmp_path):
    sources, pooled = trained(), trained(branches=("S-All",))
    for variable in pooled.variables:
        variable.assign(variable.value * 0.9)
    run = write_run(tmp_path / "run", {"sources": sources, "s-all": pooled})
    for branches, expected in ((("S1", "S2"), sources), (("S-All",), pooled)):
        network = segmenter(branches=branches)
        weights.initialize(network, str(run))
        same_maps(network, expected, branches)


def test_branches_are_matched_by_name(tmp_path):
    network = trained(branches=("S1", "S2", "S-All"))
    run = write_run(tmp_path / "run", {"joint": network}, layout="joint")
    other = segmenter(branches=("S-All", "S1"))
    report = weights.initialize(other, str(run))
    same_maps(other, network, ("S-All", "S1"))
    assert report.missing == ()
    assert all("classifier_S2" in key for key in report.unused) and len(report.unused) == 16
    fresh = segmenter(branches=("S4",))
    report = weights.initialize(fresh, str(run))
    assert report.backbone_share == 1
    assert {name.split("/")[1] for name in report.missing} == {"S4"}


def test_the_runs_own_choice_of_checkpoint(tmp_path):
    run = write_run(tmp_path / "run", {"sources": trained()}, select="best")
    network = segmenter()
    weights.initialize(network, str(run))
    assert not np.any(network.variables[0].numpy())  # step 10, marked as the best


def test_another_number_of_classes_gives_the_backbone(tmp_path):
    """Neither its classifiers fit nor the first layer of its discriminators, whose other layers alone are no use."""
    options = {"discriminators": "branch", "discriminator_width": 2}
    run = write_run(tmp_path / "run", {"sources": trained(num_classes=7, **options)})
    report = weights.initialize(segmenter(**options), str(run))
    assert [report.share(part)[0] for part in ("backbone", "classifiers", "discriminators")] == [145, 0, 0]
    assert report.backbone_share == 1
    assert "36 tensors do not fit: segmenter/feature_module/classifier_S1/bias_0 is [7]" in report.notes[0]
    assert len(report.unused) == 32 + 40


def test_group_norm_is_not_taken_for_batch_norm(tmp_path):
    grouped = trained(norm="group")
    run = write_run(tmp_path / "run", {"sources": grouped}, norm="group")
    other = segmenter(norm="group")
    weights.initialize(other, str(run))
    same_maps(other, grouped)
    with pytest.raises(UsageError, match="it has GroupNorm, this network has BatchNorm"):
        weights.initialize(segmenter(), str(run))
    frozen = write_run(tmp_path / "frozen", {"sources": trained()})
    with pytest.raises(UsageError, match="it has BatchNorm, this network has GroupNorm"):
        weights.initialize(segmenter(norm="group"), str(frozen))
    other = segmenter(norm="group")
    report = weights.initialize(other, str(frozen), allow_partial=True)
    assert np.all(other.backbone.bn1.gamma.numpy() == 1)
    assert all(match.variable.endswith("kernel") for match in report.matched if match.variable.startswith("backbone"))


def test_updated_statistics_serve_a_frozen_network(tmp_path):
    network = trained(norm="adaptsegnet")
    run = write_run(tmp_path / "run", {"sources": network}, norm="adaptsegnet")
    frozen = segmenter()
    weights.initialize(frozen, str(run))
    same_maps(frozen, network)


def test_damage_and_absence(tmp_path):
    run = write_run(tmp_path / "run", {"sources": trained()})
    data = next((run / "networks/sources/checkpoints/step-00000020").glob("weights.data*"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    with pytest.raises(MsdaError, match=r"step-00000020/weights is damaged \("):
        weights.initialize(segmenter(), str(run))
    data.write_bytes(content[:100])
    with pytest.raises(MsdaError, match="step-00000020/weights is damaged"):
        weights.initialize(segmenter(), str(run))
    with pytest.raises(UsageError, match="network sources has no checkpoint yet"):
        weights.initialize(segmenter(), str(write_run(tmp_path / "new", {})))
    with pytest.raises(UsageError, match="is a folder, but neither a run nor a checkpoint"):
        weights.initialize(segmenter(), str(tmp_path))
    with pytest.raises(UsageError, match="is a folder, but neither a run nor a checkpoint"):
        weights.initialize(segmenter(), "/")
    path = tf.train.Checkpoint(step=tf.Variable(1)).write(str(tmp_path / "weights"))
    with pytest.raises(UsageError, match="is a checkpoint, but not of this project's networks"):
        weights.initialize(segmenter(), path)


def test_depth_of_the_small_network_has_no_name(tmp_path):
    import dataclasses

    run = write_run(tmp_path / "run", {"sources": trained()})
    deeper = segmenter(backbone=dataclasses.replace(SMALL, blocks=(1, 2, 4, 2)))
    with pytest.raises(UsageError, match="holds a ResNet of 1, 2, 3, 2 blocks, this network's has 1, 2, 4, 2: choose"):
        weights.initialize(deeper, str(run))
