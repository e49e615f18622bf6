"""safetensors files, against the format's own library; and files that lie."""

import json

import numpy as np
import pytest
from seeded import seeded

from msda_tf.errors import MsdaError
from msda_tf.weights import safetensors_file, tensor_file


def test_the_same_numbers_as_the_formats_own_library(tmp_path):
    torch, library = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    base = torch.from_numpy(seeded("base", (3, 5)))
    state = {"float": base, "half": base.half(), "bfloat16": base.bfloat16(), "double": base.double()}
    state |= {"long": (base * 9).long(), "bool": base > 0, "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 2)}
    path = tmp_path / "model.safetensors"
    library.save_file(state, path, metadata={"format": "pt"})
    found = tensor_file.read(path, path.read_bytes()[:64])
    assert set(found) == set(state)
    for name, tensor in state.items():
        expected = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)


def write(path, header, numbers=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + numbers)
    return path


def entry(shape, begin, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(("header", "numbers", "length", "pattern"), [
    ({"a": entry([2], 0, 8)}, bytes(7), None, "a does not lie where the header says"),
    ({"a": entry([2], 0, 8)}, bytes(9), None, "holds more or less than its header says"),
    ({"a": entry([3], 0, 8)}, bytes(8), None, "a does not lie where"),
    ({"a": entry([10**15], 0, 4 * 10**15)}, bytes(8), None, "a does not lie where"),
    ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(4), None, "b does not lie where"),
    ({"a": entry([1], 4, 8)}, bytes(8), None, "a does not lie where"),
    ({"a": entry([-1], 0, 4)}, bytes(4), None, "its header is not that of safetensors"),
    ({"a": entry([1], 0, 4, "F4")}, bytes(4), None, "its header is not that of safetensors"),
    ({"a": {"shape": [1]}}, bytes(4), None, "its header is not that of safetensors"),
    ({"a": entry([1] * 70, 0, 4)}, bytes(4), None, "its header is not that of safetensors"),
    (b'{"a": [}', b"", None, "its header is not that of safetensors"),
    (b"{" + b'"a":[' * 20000, b"", None, "its header is not that of safetensors"),
    ({"a": entry([1], 0, 4)}, bytes(4), 2**39, r"its header claims 549755813888 bytes, the file has \d+"),
])  # fmt: skip
def test_headers_that_lie(tmp_path, header, numbers, length, pattern):
    path = write(tmp_path / "a.safetensors", header, numbers, length)
    assert safetensors_file.recognises(path.read_bytes()[:64])
    with pytest.raises(MsdaError, match=pattern) as caught:
        safetensors_file.read(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_every_truncation(tmp_path):
    path = write(tmp_path / "a.safetensors", {"a": entry([4], 0, 16), "b": entry([2, 2], 16, 32)}, bytes(32))
    content = path.read_bytes()
    for length in range(9, len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(MsdaError, match="is damaged"):
            safetensors_file.read(path)
