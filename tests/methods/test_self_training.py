"""The step of self-training against an undivided formulation, and what must hold of its teacher."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import resnet
from stepped import Stepped

from msda_tf.config import TrainConfig
from msda_tf.inference import merge
from msda_tf.inference.networks import dtype_policy
from msda_tf.methods.adversarial import Adversarial
from msda_tf.methods.class_floor import ClassFloor
from msda_tf.methods.self_training import SelfTraining
from msda_tf.methods.supervised import Supervised
from msda_tf.methods.teacher import Shares, State, Teacher
from msda_tf.models.backbones.atrous_resnet import Depth
from msda_tf.models.segmenter import LEVELS, MultiSourceSegmenter
from msda_tf.training.optimizers import make_optimizer

DEPTH = Depth(blocks=(1, 1, 1, 1), planes=(2, 3, 4, 5), stem=4, expansion=2, pool=False)
CLASSES, SIZE = 5, (33, 49)
FEEDS = (("S1", "S-All"), ("S2", "S-All"))
SMALL = (("S1",),)
CONFIG = TrainConfig(
    method="self-training", norm="group", batch_size=2, pseudo_threshold=0.25, ema_decay=0.9, colour_jitter=0.0,
    blur=False, feature_distance_classes=(1, 2), mask_block=16,
)  # fmt: skip


@pytest.fixture
def eager():
    """Tracing a step costs ten times more than running it once."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def network(branches, discriminators="none", seed=3, config=CONFIG):
    keras.utils.set_random_seed(seed)
    with dtype_policy(config.precision):
        segmenter = MultiSourceSegmenter(
            branches=branches, num_classes=CLASSES, backbone=resnet(DEPTH), norm=config.norm, rates=(1, 2),
            discriminators=discriminators, discriminator_width=4, recompute=config.recompute, name="segmenter",
        )  # fmt: skip
        segmenter.create_variables()
    for variable in segmenter.generator_variables:
        if len(variable.shape) > 1:  # the classifiers start so flat that no pixel would be sure
            variable.assign(variable * 5)
    return segmenter


def make(strategy=None, feeds=FEEDS, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    strategy = strategy or tf.distribute.get_strategy()
    both = config.method.startswith("adversarial")
    branches = tuple(sorted({branch for feed in feeds for branch in feed}))
    segmenter = network(branches, "branch" if both else "none", config=config)
    options = {"config": config, "segmenter": segmenter, "feeds": feeds, "strategy": strategy}
    options["generator_optimizer"] = make_optimizer("sgd", 1e-2, variables=segmenter.generator_variables)
    if both:
        critic = make_optimizer("sgd", 1e-2, variables=segmenter.discriminator_variables)
        base = Adversarial(**options, discriminator_optimizer=critic)
    else:
        base = Supervised(**options)
    shares = Shares(len(branches), CLASSES) if config.pseudo_merge in merge.CALIBRATED else None
    floor = ClassFloor(CLASSES) if config.pseudo_floor else None
    like = network(branches, seed=8, config=config)
    teacher = Teacher(config, segmenter, like, State(CLASSES), strategy, shares, floor)
    start = network(branches, seed=9, config=config).backbone if config.feature_distance else None
    method = SelfTraining(base=base, teacher=teacher, start=start)
    method.begin()
    return Stepped(method, strategy)


def images(seed, *, labelled=True, size=2):
    rng = np.random.default_rng(seed)
    result = {
        "image": tf.constant(rng.integers(0, 256, (size, *SIZE, 3)), tf.uint8),
        "mean": tf.constant(rng.uniform(80, 120, 3), tf.float32),
    }
    if labelled:
        label = np.kron(rng.integers(0, CLASSES, (size, 5, 7)), np.ones((8, 8)))[:, : SIZE[0], : SIZE[1]].astype(
            np.uint8
        )
        label[:, : 1 + seed % 5] = 255
        result["label"] = tf.constant(label)
    return result


def batch(seed=0, sources=2):
    return {"sources": [images(seed), images(seed + 1)][:sources], "target": images(seed + 50, labelled=False)}


def resize(maps, size=SIZE):
    return tf.compat.v1.image.resize_bilinear(maps, size, align_corners=True)


def test_the_step_is_the_sum_of_its_terms(eager):
    """Own sources plus mixed images, every branch, both levels, at equal weights: one tape over all of it."""
    step, given = make(), batch()
    segmenter, config = step.segmenter, step.config
    before = {variable.path: variable.numpy() for variable in segmenter.variables}
    target = given["target"]
    with tf.GradientTape() as tape:
        # The teacher begins as a copy of the student.
        maps = segmenter(tf.cast(target["image"], tf.float32) - target["mean"])["output"]
        merged = resize(tf.reduce_mean([tf.nn.softmax(each) for each in maps.values()], axis=0)).numpy()
        pseudo, share = merged.argmax(-1), (merged.max(-1) / merged.sum(-1) >= config.pseudo_threshold).mean()
        weight = tf.fill(pseudo.shape, np.float32(share))
        views = step.views.of(
            given, {"label": tf.constant(pseudo, tf.uint8), "weight": weight}, tf.constant(0), replica=0, replicas=1
        )
        objective, terms = 0.0, {}
        for kind, parts in (("seg", given["sources"]), ("mix", views["mixed"])):
            logits = [segmenter(tf.cast(part["image"], tf.float32) - part["mean"], training=True) for part in parts]
            for level in LEVELS:
                for branch in segmenter.branches:
                    fed = [number for number, feed in enumerate(FEEDS) if branch in feed]
                    entropies, valid = 0.0, 0
                    for number in fed:
                        label, weight = parts[number]["label"].numpy(), parts[number].get("weight", tf.ones([2, *SIZE]))
                        mask = label != 255
                        probability = tf.nn.softmax(resize(logits[number][level][branch]))
                        chosen = tf.reduce_sum(probability * tf.one_hot(np.where(mask, label, 0), CLASSES), -1)
                        entropies -= tf.reduce_sum(tf.math.log(chosen) * mask * weight)
                        valid += mask.sum()
                    terms[f"{kind}/{level}/{branch}"] = entropies / valid
                    objective += {"feature": 0.1, "output": 1.0}[level] * entropies / valid
    assert 0.05 < share < 0.95
    expected = tape.gradient(objective, [variable.value for variable in segmenter.generator_variables])
    metrics = step(given)
    for name, value in terms.items():
        assert float(metrics[name]) == pytest.approx(float(value), rel=1e-4), name
    assert float(metrics["pseudo_label/sure"]) == pytest.approx(share, rel=1e-5)
    for variable, gradient in zip(segmenter.generator_variables, expected, strict=True):
        change = before[variable.path] - 1e-2 * gradient.numpy()
        np.testing.assert_allclose(
            variable.numpy(), change, atol=1e-5 + 1e-4 * np.abs(change).max(), err_msg=variable.path
        )
    # In the first step the teacher is what the student was.
    for variable in step.teacher.network.variables:
        np.testing.assert_array_equal(variable, before[variable.path])


def test_pseudo_labels_of_weighted_branches(eager):
    """Each branch with its own temperature, and its own weight in each class; what they say adds up to 1."""
    step, target = make(pseudo_merge="class-weighted-probability"), batch()["target"]
    rng = np.random.default_rng(4)
    temperatures, weights = rng.uniform(0.5, 3, 3), rng.dirichlet([1, 1, 1], CLASSES).T
    step.teacher.shares.set([merge.Share(*each) for each in zip(temperatures, weights, strict=True)])
    labels, confidence = step.teacher.predict(target)
    maps = step.teacher.network(tf.cast(target["image"], tf.float32) - target["mean"], training=False)["output"]
    expected = 0.0
    for branch, temperature, weight in zip(("S-All", "S1", "S2"), temperatures, weights, strict=True):
        odds = np.exp(maps[branch].numpy() / temperature)
        expected = expected + weight * odds / odds.sum(-1, keepdims=True)
    expected = resize(tf.constant(expected, tf.float32)).numpy()
    np.testing.assert_array_equal(labels, expected.argmax(-1))
    np.testing.assert_allclose(confidence, expected.max(-1) / expected.sum(-1), rtol=1e-5)
    assert step.teacher.network.branches == ("S-All", "S1", "S2")
    metrics = step(batch())
    told = [float(metrics[f"pseudo_label_weight/{branch}"]) for branch in ("S-All", "S1", "S2")]
    np.testing.assert_allclose(told, weights.mean(axis=1), rtol=1e-5)


def test_a_class_with_a_price_is_given_more(eager):
    """By its price, which changes labels and confidence and follows the share of the labels; the others' stay."""
    step, target = make(pseudo_floor=0.5), batch()["target"]
    plain, _ = step.teacher.predict(target)
    rarest = int(np.bincount(plain.numpy().ravel(), minlength=CLASSES).argmin())
    floors = np.zeros(CLASSES, np.float32)
    floors[rarest] = 0.5
    step.teacher.floor.floors.assign(floors)
    step.teacher.floor.log_prices.assign(np.log(3) * (floors > 0))
    maps = step.teacher.network(tf.cast(target["image"], tf.float32) - target["mean"], training=False)["output"]
    scores = resize(tf.reduce_mean([tf.nn.softmax(each) for each in maps.values()], axis=0)).numpy()
    scores[..., rarest] *= 3
    labels, confidence = step.teacher.predict(target)
    np.testing.assert_array_equal(labels, scores.argmax(-1))
    np.testing.assert_allclose(confidence, scores.max(-1) / scores.sum(-1), rtol=1e-5)
    metrics = step(batch())
    share = float(metrics[f"pseudo_label_share/{rarest}"])
    assert share > (plain.numpy() == rarest).mean()
    expected = np.log(3) * (floors > 0) + 0.05 * (1 - share / 0.5) * (floors > 0)
    np.testing.assert_allclose(step.teacher.floor.log_prices, expected, rtol=1e-5)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_teacher_follows_all_weights(eager, when):
    step = make(ema_when=when)
    history, expected = [], None
    for number in range(3):
        weights = {variable.path: variable.numpy() for variable in step.segmenter.variables}
        history.append(weights)
        step(batch(number))
    history.append({variable.path: variable.numpy() for variable in step.segmenter.variables})
    seen = history[:3] if when == "before" else history[1:]
    for number, weights in enumerate(seen):
        decay = min(1 - 1 / (number + 1), 0.9)
        expected = (
            weights if expected is None else {p: decay * expected[p] + (1 - decay) * v for p, v in weights.items()}
        )
    for variable in step.teacher.network.variables:
        np.testing.assert_allclose(variable, expected[variable.path], atol=1e-6, err_msg=variable.path)
    assert int(step.teacher.state.steps.numpy()) == 3


def test_the_teacher_takes_constants_once(eager):
    """Frozen BatchNorm's: copies of the student's from the beginning, to the bit, and no work in a step."""
    step = make(norm="frozen", feeds=SMALL)
    constants = {v.path: v for v in step.segmenter.variables if not v.trainable}
    for number, variable in enumerate(constants.values()):
        variable.assign(np.random.default_rng(number).uniform(0.5, 1.5, variable.shape))
    step.begin()
    for number in range(2):
        step(batch(number, 1))
    own = {v.path: v for v in step.teacher.network.variables}
    for path, variable in constants.items():
        np.testing.assert_array_equal(own[path], variable, err_msg=path)
    weights = own.keys() - constants.keys()
    assert len(constants) == 4 * sum(len(own[path].shape) == 4 and "/backbone/" in path for path in weights)
    assert assignments(step) == len(weights)


def test_the_teacher_follows_statistics_that_change():
    step = make(norm="adaptsegnet", feeds=SMALL)
    assert assignments(step) == len(step.teacher.network.variables)


def assignments(step):
    """How many variables a step's graph lets the teacher write."""
    graph = tf.function(lambda: step.teacher.follow("before")).get_concrete_function().graph
    return sum(operation.type == "AssignVariableOp" for operation in graph.get_operations())


@functools.cache
def plain():
    return {name: float(value) for name, value in make(**ALL)(batch()).items()}


ALL = {
    "method": "adversarial+self-training", "masked": True, "feature_distance": True, "pseudo_weight": "pixel",
    "pseudo_merge": "class-weighted-probability", "pseudo_floor": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("tolerance", "changes"),
    [
        (1e-4, {"recompute": True}),
        (1e-4, {"accumulate": 2, "recompute": True}),
        (2e-2, {"precision": "mixed_float16"}),
        (8e-2, {"precision": "mixed_bfloat16", "accumulate": 2, "recompute": True}),
    ],
)
def test_precision_recomputation_and_accumulation_change_no_loss(eager, tolerance, changes):
    """Of all terms at once; a few pixels change sides where 8 or 11 bits decide."""
    metrics = make(**ALL, **changes)(batch())
    losses = [name for name in plain() if name.partition("/")[0] in ("seg", "mix", "masked", "adv", "disc")]
    assert len(losses) == 5 * 2 * 3
    for name in [*losses, "pseudo_label/sure", "feature_distance"]:
        assert float(metrics[name]) == pytest.approx(plain()[name], rel=tolerance, abs=1e-3 * tolerance), name


def test_compiled_by_xla():
    """The same losses and the same weights after two steps, the teacher's, too."""
    plain, fast = (make(feeds=SMALL, jit=jit, masked=True, pseudo_floor=0.5) for jit in (False, True))
    for number in range(2):
        expected, metrics = plain.eagerly(batch(number, 1)), fast(batch(number, 1))
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-3, abs=1e-6
    )
    for ours, theirs in zip(fast.segmenter.variables, plain.segmenter.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6, err_msg=ours.path)
    for ours, theirs in zip(fast.teacher.network.variables, plain.teacher.network.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6, err_msg=ours.path)


EXTREMES = {
    "all sure": {"pseudo_threshold": 0.0},
    "none sure": {"pseudo_threshold": 1.0, "pseudo_weight": "pixel"},
    "everything": {
        "method": "adversarial+self-training", "masked": True, "feature_distance": True, "pseudo_weight": "class",
        "classmix_classes": "batch", "loss_over": "all", "colour_jitter": 0.2, "blur": True, "accumulate": 2,
        "ema_when": "after", "pseudo_merge": "max-logit", "pseudo_floor": 1.0,
    },
    "no things": {"feature_distance": True, "feature_distance_classes": (254,)},
}  # fmt: skip


@pytest.mark.parametrize("name", EXTREMES)
def test_nothing_is_ever_nan(eager, name):
    step, given = make(**EXTREMES[name]), batch()
    blank = {**given["sources"][1], "label": tf.fill([2, *SIZE], tf.constant(255, tf.uint8))}
    for sources in (given["sources"], [given["sources"][0], blank], [blank, blank]):
        metrics = step({**given, "sources": sources})
        assert all(np.isfinite(float(value)) for value in metrics.values())
        assert all(np.isfinite(variable.numpy()).all() for variable in step.segmenter.variables)
    if name == "everything":
        assert float(metrics["masked/output/S1"]) > 0 and "adv/output/S1" in metrics


def test_margins_and_a_late_start_weigh_nothing(eager):
    step = make(self_training_start=1)
    inside = np.zeros((2, *SIZE), np.uint8)
    inside[:, 10:] = 1
    target = {**batch()["target"], "inside": tf.constant(inside)}
    assert not step.teacher.label(target)[0]["weight"].numpy().any()
    step(batch())
    weight = step.teacher.label(target)[0]["weight"].numpy()
    assert (weight[:, 10:] > 0).all() and not weight[:, :10].any()


@pytest.mark.parametrize("decoder", ["mlp", "daformer", "transposed"])
def test_the_teacher_follows_every_decoder(decoder):
    """Also those of shared trunks, whose layers are made of others."""
    student, network = (
        MultiSourceSegmenter(branches=("S1",), num_classes=3, backbone=resnet(DEPTH), norm="group", decoder=decoder,
                             discriminators="none", name="segmenter")
        for _ in range(2)
    )  # fmt: skip
    for number, each in enumerate((student, network)):
        each.create_variables()
        for variable in each.variables:
            variable.assign(np.full(variable.shape, number))
    Teacher(CONFIG, student, network, State(3), tf.distribute.get_strategy()).follow("before")
    for variable in network.variables:
        assert not variable.numpy().any(), variable.path


def test_the_whole_image_has_half_a_say(eager):
    """Labels by the mean of what the teacher says of a crop and, at the same places, of the image around it."""
    step, around = make(), (25, 19)
    rng = np.random.default_rng(4)
    whole = rng.integers(0, 256, (2, *around, 3))
    rows, columns = 1 + np.arange(SIZE[0]) * 0.5, 3 + np.arange(SIZE[1]) * 0.25  # of the whole's pixels
    ends = [rows[0] / 24, columns[0] / 18, rows[-1] / 24, columns[-1] / 18]
    assert max(ends) <= 1
    target = batch()["target"]
    step.teacher.follow("before")

    def scores(images):
        maps = step.segmenter(tf.cast(images, tf.float32) - target["mean"])["output"].values()
        return resize(tf.reduce_mean([tf.nn.softmax(each) for each in maps], axis=0), images.shape[1:3]).numpy()

    def at(maps, row, column):
        top, left = min(int(row), 23), min(int(column), 17)
        below, right = row - top, column - left
        upper = (1 - right) * maps[:, top, left] + right * maps[:, top, left + 1]
        lower = (1 - right) * maps[:, top + 1, left] + right * maps[:, top + 1, left + 1]
        return (1 - below) * upper + below * lower

    seen = scores(whole)
    seen = np.stack([np.stack([at(seen, row, column) for column in columns], 1) for row in rows], 1)
    merged = (scores(target["image"]) + seen) / 2
    target |= {"context": tf.constant(whole, tf.uint8), "window": tf.constant([ends, ends], tf.float32)}
    labels, confidence = step.teacher.predict(target)
    np.testing.assert_array_equal(labels, merged.argmax(-1))
    np.testing.assert_allclose(confidence, merged.max(-1) / merged.sum(-1), rtol=1e-4)
    assert (labels.numpy() != scores(target["image"]).argmax(-1)).any()


def test_going_on_is_exact(tmp_path):
    """Compiled, as in training: views, teacher and sureness follow from the seed, the step and the checkpoint."""
    changes = {"masked": True, "pseudo_weight": "class", "colour_jitter": 0.2, "blur": True}
    whole, second = (make(feeds=SMALL, **changes) for _ in range(2))

    def objects(step):
        return tf.train.Checkpoint(segmenter=step.segmenter, **step.checkpointables)

    for number in range(2):
        whole(batch(number, 1))
    path = objects(whole).write(str(tmp_path / "weights"))
    expected = whole(batch(2, 1))
    objects(second).read(path).assert_consumed()
    found = second(batch(2, 1))
    assert {name: float(value) for name, value in found.items()} == {n: float(v) for n, v in expected.items()}
    for ours, theirs in zip(second.teacher.network.variables, whole.teacher.network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_one_and_two_devices_compute_the_same():
    from json_process import result

    one, two = (result("self_training_process.py", devices) for devices in (1, 2))
    assert one["losses"].keys() == two["losses"].keys()
    for name, value in one["losses"].items():
        np.testing.assert_allclose(two["losses"][name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-5)
    np.testing.assert_allclose(two["teacher"], one["teacher"], rtol=1e-5)
    assert one["floor"][1] > 0
    np.testing.assert_allclose(two["floor"], one["floor"], rtol=1e-4)
