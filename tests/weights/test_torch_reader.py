"""Torch files are read without Torch, and nothing in them is run."""

import collections
import io
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from seeded import seeded

from msda_tf.errors import MsdaError
from msda_tf.weights import legacy_pickle, tensor_pickle, torch_file

torch = pytest.importorskip("torch")

LAYOUTS = pytest.mark.parametrize("legacy", [False, True], ids=["archive", "legacy"])


def save(value, path, legacy):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def everything():
    """A state dict with every kind of tensor that files of weights hold."""
    base = torch.from_numpy(seeded("base", (4, 6)))
    state = {
        "float": base,
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "double": base.double(),
        "transposed": base.t(),
        "part": base[1:3, ::2],
        "tied": base,
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(base[0].clone()),
    }
    for name in ("int64", "int32", "int16", "int8", "uint8"):
        state[name] = (base * 10).to(getattr(torch, name))
    state["bool"] = base > 0
    return collections.OrderedDict(state)


@LAYOUTS
def test_the_same_numbers_as_torch(tmp_path, legacy, monkeypatch):
    state = everything()
    path = save(state, tmp_path / "a.pth", legacy)
    monkeypatch.setitem(sys.modules, "torch", None)
    found = torch_file.read(path)
    assert list(found) == list(state)
    for name, tensor in state.items():
        tensor = tensor.detach()
        expected = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
        found[name][...] = 0  # an array of its own


@LAYOUTS
@pytest.mark.parametrize("wrap", [
    lambda state: {"state_dict": state, "meta": {"epoch": 3, "classes": ("road", "sky"), "lr": 1e-4, "hooks": None}},
    lambda state: {"model": {"state_dict": state}, "optimizer": {"state": {0: state}, "groups": [{"betas": (0.9, 1)}]}},
])  # fmt: skip
def test_weights_inside_of_what_a_training_script_saved(tmp_path, legacy, wrap):
    state = {"a.weight": torch.from_numpy(seeded("a", (2, 3)))}
    found = torch_file.read(save(wrap(state), tmp_path / "checkpoint.pth", legacy))
    np.testing.assert_array_equal(found["a.weight"], state["a.weight"])
    assert list(found) == ["a.weight"]


def test_files_of_python_2(tmp_path):
    """Its texts are bytes, which pickle has other instructions for."""
    path = save({"weight": torch.arange(3.0)}, tmp_path / "a.pth", legacy=True)
    content = path.read_bytes()
    for name in (b"weight", b"storage", b"cpu"):
        content = content.replace(b"X" + struct.pack("<I", len(name)) + name, b"U" + bytes([len(name)]) + name)
    path.write_bytes(content)
    np.testing.assert_array_equal(torch_file.read(path)["weight"], [0, 1, 2])


def refused(path, pattern):
    with pytest.raises(MsdaError, match=pattern) as caught:
        torch_file.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


class Evil:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


@LAYOUTS
@pytest.mark.parametrize("content", [
    lambda trace: {"a": torch.zeros(2), "b": Evil(trace)},
    lambda trace: {"a": torch.zeros(2), "b": [({"c": Evil(trace)},)]},
    lambda trace: Evil(trace),
])  # fmt: skip
def test_a_pickle_that_calls_a_function(tmp_path, legacy, content):
    trace = tmp_path / "trace"
    path = save(content(trace), tmp_path / "a.pth", legacy)
    refused(
        path, r"holds Python objects beside its tensors \(\w+\.open\), .*: in Torch, save model.state_dict\(\) alone"
    )
    assert not trace.exists()


@LAYOUTS
def test_a_whole_model(tmp_path, legacy):
    path = save(torch.nn.Linear(2, 2), tmp_path / "a.pth", legacy)
    refused(path, r"holds Python objects beside its tensors \(torch.nn.modules.linear.Linear\)")


@LAYOUTS
def test_numpy_numbers_in_a_checkpoint(tmp_path, legacy):
    path = save({"state_dict": {"a": torch.zeros(2)}, "best": np.float64(3)}, tmp_path / "a.pth", legacy)
    refused(path, r"holds Python objects beside its tensors \(numpy\.\S*multiarray\.scalar\)")


@LAYOUTS
def test_every_truncation(tmp_path, legacy):
    path = save(everything(), tmp_path / "a.pth", legacy)
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        refused(path, "is damaged or no Torch file")


@LAYOUTS
def test_changed_bytes_never_end_in_anything_else_than_one_line(tmp_path, legacy):
    path = save(everything(), tmp_path / "a.pth", legacy)
    content, random = path.read_bytes(), np.random.RandomState(0)
    for _ in range(300):
        changed = bytearray(content)
        for position in random.randint(0, len(changed), 3):
            changed[position] = random.randint(0, 256)
        path.write_bytes(changed)
        try:
            torch_file.read(path)
        except MsdaError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def legacy_file(path, description: bytes, keys=("0",), numbers=b"", count=1):
    """A file whose object's pickle is `description`."""
    start = [legacy_pickle.MAGIC, legacy_pickle.VERSION, {"little_endian": True}]
    content = b"".join(pickle.dumps(value, protocol=2) for value in start)
    path.write_bytes(content + description + pickle.dumps(list(keys), protocol=2) + struct.pack("<q", count) + numbers)
    return path


def tensor(shape, strides, *, size=1, offset=0) -> bytes:
    """The pickle of {"a": a tensor of this storage}."""
    torch_names = {"s": b"ctorch\nFloatStorage\n", "r": b"ctorch._utils\n_rebuild_tensor_v2\n"}

    def literal(value):
        return pickle.dumps(value, protocol=2)[2:-1]

    storage = b"(" + literal("storage") + torch_names["s"] + literal("0") + literal("cpu") + literal(size) + b"tQ"
    arguments = b"(" + storage + literal(offset) + literal(shape) + literal(strides) + b"t"
    return b"\x80\x02}" + literal("a") + torch_names["r"] + arguments + b"Rs."


@pytest.mark.parametrize(("shape", "strides", "size", "offset", "pattern"), [
    ((3,), (1,), 1, 0, "claim more numbers than it holds"),
    ((2,), (3,), 2, 0, "a tensor reaches beyond its storage"),
    ((1,), (1,), 1, 1, "a tensor reaches beyond its storage"),
    ((1,), (-1,), 1, 0, "a tensor of it has no shape"),
    ((1, 1), (1,), 1, 0, "other strides than dimensions"),
    ((10**12,), (0,), 1, 0, "claim more numbers than it holds"),
    ((1,), (1,), 10**15, 0, "ends before its last tensor"),
    ((1,), (1,), -1, 0, "a storage of it has no size"),
    ((1,) * 70, (1,) * 70, 1, 0, "or too many"),
])  # fmt: skip
def test_tensors_that_lie(tmp_path, shape, strides, size, offset, pattern):
    description = tensor(shape, strides, size=size, offset=offset)
    refused(legacy_file(tmp_path / "a.pth", description, numbers=bytes(8), count=min(max(size, 0), 2)), pattern)


def test_a_tensor_that_does_not_lie(tmp_path):
    path = legacy_file(tmp_path / "a.pth", tensor((1,), (1,)), numbers=struct.pack("<f", 2.5))
    assert torch_file.read(path)["a"] == [2.5]


@pytest.mark.parametrize(("description", "pattern"), [
    # A text of four gigabytes, a memory of two thousand million slots, items without a mark, an empty stack.
    (b"\x80\x02X\xff\xff\xff\xffabc.", "is damaged"),
    (b"\x80\x02Nr\xff\xff\xff\x7f.", "."),
    (b"\x80\x02}u.", "is damaged"),
    (b"\x80\x02.", "is damaged"),
    (b"\x80\x02h\x05.", "is damaged"),
    # Tuples that hold each other twice, forty levels deep, as a key.
    (b"\x80\x02})" + b"q\x00h\x00\x86" * 40 + b"Ns.", "a key that is neither text nor number"),
    (b"\x80\x02ccollections\nOrderedDict\n(ctorch\nSize\ntR.", "with other arguments than Torch does"),
    (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.", r"holds Python objects beside its tensors \(os.system\)"),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"holds Python objects beside its tensors \(os.system\)"),
    (b"\x80\x02(ios\nsystem\n.", r"holds Python objects beside its tensors \(the pickle instruction INST\)"),
])  # fmt: skip
def test_pickles_that_nobody_wrote(tmp_path, description, pattern):
    path = legacy_file(tmp_path / "a.pth", description)
    with pytest.raises(MsdaError, match=pattern) as caught:
        torch_file.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_containers_that_hold_themselves_have_an_end():
    value = tensor_pickle.read(io.BytesIO(b"\x80\x02]q\x00h\x00a."), "a.pth")
    assert value[0] is value and tensor_pickle.entries(value) == []


def test_big_endian_numbers(tmp_path):
    path = save({"a": torch.zeros(2)}, tmp_path / "a.pth", legacy=True)
    path.write_bytes(path.read_bytes().replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"))
    refused(path, "its numbers are big-endian")


def test_compressed_archive(tmp_path):
    """A small file must not become a large one in memory."""
    path = save({"a": torch.zeros(100000)}, tmp_path / "a.pth", legacy=False)
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    refused(packed, "its archive is compressed")


def test_another_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    refused(tmp_path / "a.zip", "its archive has no data.pkl")
