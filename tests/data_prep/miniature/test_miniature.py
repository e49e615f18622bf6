"""Miniature: native formats, determinism, classes, alignment of labels and pictures, and refusals."""

import shutil
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from msda_tf.data_prep.miniature import generate as miniature
from msda_tf.data_prep.miniature.camera import Camera, clip
from msda_tf.data_prep.miniature.canvas import Canvas, Light
from msda_tf.data_prep.miniature.kinds import Kind
from msda_tf.data_prep.readers import cityscapes, gta5, synthia
from msda_tf.errors import MsdaError, UsageError
from msda_tf.labels import CITYSCAPES_CLASSES, CITYSCAPES_ID_COLORS, CITYSCAPES_IDS, SYNTHIA_ABSENT, SYNTHIA_IDS

HEIGHT = 65
WIDTHS = {"gta5": 118, "synthia": 109, "cityscapes": 130}
TRAIN, TEST = 5, 3

GREY, TRUE_COLOR, PALETTE = 0, 2, 3


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The three miniatures, a few small frames each."""
    root = tmp_path_factory.mktemp("raw")
    for dataset in miniature.DATASETS:
        miniature.generate(root / dataset, dataset=dataset, train=TRAIN, test=TEST, seed=3, height=HEIGHT, workers=1)
    return root


@pytest.fixture(scope="module")
def forty():
    """Pixels of each kind in each of 40 frames of each data set, `[40, kinds]`."""
    return {
        dataset: np.array(
            [np.bincount(miniature.scene(dataset, frame=i).kinds.ravel(), minlength=len(Kind)) for i in range(40)]
        )
        for dataset in miniature.DATASETS
    }


def _header(path):
    """(width, height, bit depth, colour type) from a PNG's own header."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">IIBB", data[16:26])


def _contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_file_names(raw):
    numbers = range(TRAIN + TEST)
    assert set(_contents(raw / "gta5")) == {f"{part}/{i + 1:05d}.png" for part in ("images", "labels") for i in numbers}
    parts = ("RGB", "GT/LABELS", "GT/COLOR")
    assert set(_contents(raw / "synthia")) == {f"{part}/{i:07d}.png" for part in parts for i in numbers}
    names = set(_contents(raw / "cityscapes"))
    for split, city, frames in (("train", "aachen", 2), ("train", "dusseldorf", 1), ("val", "frankfurt", 1)):
        for sequence in range(frames):
            stem = f"{split}/{city}/{city}_{sequence:06d}_000019"
            assert f"leftImg8bit/{stem}_leftImg8bit.png" in names
            assert f"gtFine/{stem}_gtFine_labelIds.png" in names
    assert len(names) == 2 * (TRAIN + TEST)
    assert sum("/val/" in name for name in names) == 2 * TEST


@pytest.mark.parametrize(
    ("dataset", "pattern", "depth", "color"),
    [
        ("gta5", "images/*", 8, TRUE_COLOR),
        ("gta5", "labels/*", 8, PALETTE),
        ("synthia", "RGB/*", 8, TRUE_COLOR),
        ("synthia", "GT/LABELS/*", 16, TRUE_COLOR),
        ("synthia", "GT/COLOR/*", 8, TRUE_COLOR),
        ("cityscapes", "leftImg8bit/*/*/*", 8, TRUE_COLOR),
        ("cityscapes", "gtFine/*/*/*", 8, GREY),
    ],
)
def test_png_format(raw, dataset, pattern, depth, color):
    paths = list((raw / dataset).glob(pattern))
    assert len(paths) == TRAIN + TEST
    for path in paths:
        assert _header(path) == (WIDTHS[dataset], HEIGHT, depth, color)


def test_gta5_palette(raw):
    with Image.open(raw / "gta5" / "labels" / "00001.png") as label:
        assert label.mode == "P"
        palette, ids = np.array(label.getpalette("RGB")).reshape(-1, 3), np.unique(np.array(label))
    assert len(ids) > 6
    for index in ids:
        assert tuple(palette[index]) == CITYSCAPES_ID_COLORS[index]


def test_ids(raw):
    """Only ids that the data set defines and uses, and Cityscapes' own ignored ones."""
    for path in (raw / "gta5" / "labels").iterdir():
        assert set(np.unique(np.array(Image.open(path)))) <= {*CITYSCAPES_IDS, 4}
    seen = set()
    for path in (raw / "cityscapes").glob("gtFine/*/*/*"):
        seen |= set(np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
    assert {1, 3, 7} <= seen <= {*CITYSCAPES_IDS, 1, 3, 4}
    present = {
        number for number, name in zip(SYNTHIA_IDS, CITYSCAPES_CLASSES.names, strict=True) if name not in SYNTHIA_ABSENT
    }
    seen = set()
    for path in (raw / "synthia" / "GT" / "LABELS").iterdir():
        blue, instances, classes = cv2.split(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        assert not blue.any()
        seen |= set(np.unique(classes))
        for number in np.unique(instances[instances > 0]):
            assert len(np.unique(classes[instances == number])) == 1
    assert {3, 22} <= seen <= present | {0, 22}


@pytest.mark.parametrize("dataset", miniature.DATASETS)
def test_converters_read_what_was_drawn(raw, dataset):
    """The project's own readers find every frame, and their trainIds are the scene's kinds."""
    if dataset == "cityscapes":
        found = cityscapes.find(raw / dataset)
        order = {f"aachen_{i:06d}": 4 * i for i in range(2)} | {"frankfurt_000000": 0, "munster_000000": 2}
    else:
        found = {"gta5": gta5, "synthia": synthia}[dataset].find(raw / dataset, test_frames=TEST)
        order = {f"{i + 1:05d}.png": i for i in range(3)} if dataset == "gta5" else {f"{i:07d}": i for i in range(3)}
    assert len(list(found.frames)) == TRAIN + TEST
    table = np.full(256, 255, np.uint8)
    table[:19] = np.arange(19)
    if dataset != "synthia":
        table[Kind.LANE_MARKING] = Kind.ROAD
    checked = 0
    for frame in found.frames:
        for part, index in order.items():
            if part in str(frame.label):
                split = "val" if "/val/" in str(frame.label) else "train"
                drawn = miniature.scene(dataset, frame=index, split=split, seed=3, height=HEIGHT)
                np.testing.assert_array_equal(found.labels.decode(frame.label.read_bytes()), table[drawn.kinds])
                np.testing.assert_array_equal(cv2.imread(str(frame.image))[..., ::-1], drawn.image)
                checked += 1
    assert checked == len(order)


def test_same_files_for_any_number_of_workers(raw, tmp_path):
    reports = []
    miniature.generate(
        tmp_path / "two",
        dataset="synthia",
        train=TRAIN,
        test=TEST,
        seed=3,
        height=HEIGHT,
        workers=2,
        progress=lambda done, total: reports.append((done, total)),
    )
    assert _contents(tmp_path / "two") == _contents(raw / "synthia")
    assert reports == [(done, TRAIN + TEST) for done in range(1, TRAIN + TEST + 1)]
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_a_frame_does_not_depend_on_the_others(raw, tmp_path):
    (tmp_path / "few").mkdir()  # an empty folder is filled
    miniature.generate(tmp_path / "few", dataset="cityscapes", train=1, test=1, seed=3, height=HEIGHT, workers=1)
    few, many = _contents(tmp_path / "few"), _contents(raw / "cityscapes")
    assert len(few) == 4
    assert all(many[name] == content for name, content in few.items())


def test_seeds_data_sets_splits_and_frames_differ():
    arguments = [
        {"dataset": "cityscapes", "frame": 0},
        {"dataset": "cityscapes", "frame": 1},
        {"dataset": "cityscapes", "frame": 0, "seed": 1},
        {"dataset": "cityscapes", "frame": 0, "split": "val"},
    ]
    scenes = [miniature.scene(**kwargs, height=HEIGHT).image.tobytes() for kwargs in arguments]
    assert len(set(scenes)) == len(scenes)
    assert miniature.scene(**arguments[0], height=HEIGHT).image.tobytes() == scenes[0]


def test_all_classes_occur(forty):
    for dataset, pixels in forty.items():
        absent = SYNTHIA_ABSENT if dataset == "synthia" else ()
        for index, name in enumerate(CITYSCAPES_CLASSES.names):
            frames = np.count_nonzero(pixels[:, index] >= 20)
            if name in absent:
                assert pixels[:, index].sum() == 0, (dataset, name)
            else:
                assert frames >= 5, (dataset, name, frames)


def test_class_statistics_differ_as_the_originals_do(forty):
    share = {dataset: pixels.sum(axis=0) / pixels.sum() for dataset, pixels in forty.items()}
    for other in ("gta5", "cityscapes"):
        assert share["synthia"][Kind.SIDEWALK] > 2 * share[other][Kind.SIDEWALK]
        assert share["synthia"][Kind.PERSON] > 2 * share[other][Kind.PERSON]
        assert share[other][Kind.ROAD] > 0.9 * share["synthia"][Kind.ROAD]
    assert share["cityscapes"][Kind.EGO_VEHICLE] > 0.03
    assert share["gta5"][Kind.EGO_VEHICLE] == share["synthia"][Kind.EGO_VEHICLE] == 0


@pytest.mark.parametrize("dataset", miniature.DATASETS)
def test_labels_lie_on_the_pictures(dataset):
    """The outlines of the label follow the outlines in the picture better than if it were moved by 2 pixels."""

    def outline(field):
        return np.hypot(cv2.Sobel(field, cv2.CV_32F, 1, 0), cv2.Sobel(field, cv2.CV_32F, 0, 1))

    scores = np.zeros((5, 5))
    for frame in range(6):
        scene = miniature.scene(dataset, frame=frame)
        strength = outline(cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY).astype(np.float32))
        kinds = np.where(scene.kinds == Kind.LANE_MARKING, Kind.ROAD, scene.kinds)
        edges = outline(kinds.astype(np.float32)) > 0
        for down in range(-2, 3):
            for right in range(-2, 3):
                moved = np.roll(edges, (down, right), axis=(0, 1))
                scores[down + 2, right + 2] += strength[8:-16, 8:-8][moved[8:-16, 8:-8]].mean()
    assert scores.argmax() == 12, scores.round(1)  # not moved


@pytest.mark.parametrize("dataset", miniature.DATASETS)
def test_sizes_keep_the_aspect_ratio(dataset):
    height, width = miniature.NATIVE_SIZES[dataset]
    assert miniature.image_size(dataset, height) == (height, width)
    assert miniature.image_size(dataset) == (miniature.HEIGHT, round(miniature.HEIGHT * width / height))
    scene = miniature.scene(dataset, frame=0, height=HEIGHT)
    assert scene.image.shape == (HEIGHT, WIDTHS[dataset], 3)
    assert scene.kinds.shape == scene.instances.shape == (HEIGHT, WIDTHS[dataset])


def test_kinds_are_the_classes():
    assert tuple(kind.name.lower().replace("_", " ") for kind in list(Kind)[:19]) == CITYSCAPES_CLASSES.names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "kitti"}, "'kitti' has no miniature: choose one of gta5, synthia, cityscapes"),
        ({"train": 0}, "at least 1 training and 1 test frame, not 0 and 1"),
        ({"test": 0}, "at least 1 training and 1 test frame, not 1 and 0"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"height": 16}, "from 32 to 2160 pixels, not 16"),
    ],
)
def test_refused_arguments(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        miniature.generate(tmp_path / "raw", **{"dataset": "gta5", "train": 1, "test": 1} | arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["kept.txt", "."])
def test_never_touches_what_is_there(tmp_path, name):
    """A folder that holds a file, or a file in the folder's place."""
    output = tmp_path / "raw" if name != "." else tmp_path / "raw" / "kept.txt"
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "kept.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not an empty folder"):
        miniature.generate(output, dataset="gta5", train=1, test=1)
    assert _contents(tmp_path) == {"raw/kept.txt": b"mine"}


def test_a_failed_worker_leaves_nothing(tmp_path, monkeypatch):
    false = shutil.which("false")
    if not false:
        pytest.skip("needs the command false")
    monkeypatch.setattr(miniature.sys, "executable", false)
    with pytest.raises(MsdaError, match=r"drawing the miniature failed \(exit status 1\)"):
        miniature.generate(tmp_path / "raw", dataset="gta5", train=1, test=1, workers=2)
    assert not list(tmp_path.iterdir())


def test_contact_sheet(raw, tmp_path):
    path = tmp_path / "new" / "sheet.png"
    miniature.contact_sheet(raw, path, rows=2)
    sheet = np.array(Image.open(path))
    assert sheet.shape[0] > 2 * 224 and sheet.shape[1] > 6 * 224
    # The legend holds every colour, the labels hold those of the big classes many times over.
    shares = [np.all(sheet == color, axis=2).mean() for color in CITYSCAPES_CLASSES.colors]
    assert min(shares) > 0
    assert shares[Kind.ROAD] > 0.05
    with pytest.raises(UsageError, match="holds no miniature: expected folders named gta5, synthia, cityscapes"):
        miniature.contact_sheet(tmp_path / "empty", path)


def test_ground_is_where_the_camera_sees_it():
    """Projecting a pixel's ground point leads back to the pixel, on a bent street and with the camera turned."""
    camera = Camera(height=64, width=97, field_of_view=60, position=(1.5, 2.0, 0), pitch=5, yaw=8, roll=2, bend=1e-3)
    first, s, z, meets = camera.ground()
    for row, column in ((63, 5), (50, 90), (45, 40)):
        assert meets[row - first, column]
        distance = float(z[row - first, column])
        x, _ = camera.street(float(s[row - first, column]), distance)
        u, v, depth = camera.homogeneous(np.array([[x, 0, distance]]))[0]
        assert depth > 0
        np.testing.assert_allclose((u / depth, v / depth), (column + 0.5, row + 0.5), atol=0.02)


def test_camera_without_turns_is_a_pinhole():
    camera = Camera(height=100, width=200, field_of_view=90, position=(0.0, 1.5, 0.0))
    u, v, depth = camera.homogeneous(np.array([[2.0, 1.5 + 1.0, 4.0]]))[0]
    np.testing.assert_allclose((u / depth, v / depth, depth), (100 + 100 * 2 / 4, 50 - 100 * 1 / 4, 4))


def test_clip_cuts_at_the_near_plane():
    """A triangle with one corner behind the camera keeps a quadrilateral; one wholly behind keeps nothing."""
    kept = clip(np.array([[0.0, 0.0, 2.4], [4.0, 0.0, 2.4], [0.0, 0.0, -1.6]]))
    np.testing.assert_allclose(kept, [[0, 0], [4 / 2.4, 0], [2 / 0.4, 0], [0, 0]], atol=1e-9)
    assert len(clip(np.array([[0.0, 0.0, 0.1], [1.0, 0.0, 0.2], [0.0, 1.0, -1.0]]))) == 0


@pytest.mark.parametrize("shown", range(1, 7))
def test_slivers_at_the_edge_of_the_picture(shown):
    """Pictures and cut-outs of which only a few pixels are in sight: OpenCV takes some tiny arrays for scalars."""
    light = Light(np.ones(3), np.zeros(3), np.array([0.0, 1.0, 0.0]), np.zeros(3), 0.0)
    camera = Camera(height=60, width=80, field_of_view=90, position=(0.0, 0.0, 0.0))  # one metre is 4 pixels at z = 10
    left = (shown - 40) / 4
    for rows in range(1, 7):
        canvas = Canvas(camera, light)
        stamp = np.full((128, 128, 2), 255, np.uint8)
        foot = (left - 2.0, -7.5, 10.0)
        canvas.sprite(
            lambda level, stamp=stamp: stamp[:: 2**level, :: 2**level],
            foot=foot,
            width=4.0,
            height=rows / 4,
            tones=np.array([[0.0, 0, 0], [100, 110, 120]]),
            owner=8,
        )
        drawn = canvas.pixels[..., 3] == 8
        assert drawn.any() and not drawn[:, shown + 1 :].any()
        assert (canvas.pixels[drawn][:, :3] == [100, 110, 120]).all()

        canvas = Canvas(camera, light)
        texture = np.full((8, 8, 4), 200, np.uint8)
        texture[:, ::2, 3] = 0
        origin, along = np.array([left - 4.0, -7.5, 10.0]), np.array([1.0, 0, 0])
        canvas.picture(texture, origin=origin, along=along, size=(4.0, rows / 4), owner=4)
        drawn = canvas.pixels[..., 3] == 4
        assert drawn.any() and not drawn[:, shown + 1 :].any()
