"""YAML files: right values with their lines, and hostile ones refused at once."""

import os
import pathlib
import time

import pytest
import yaml

from msda_tf import yaml_lines
from msda_tf.errors import UsageError

SOURCE = pathlib.Path("some.yaml")

GOOD = """
a: 1
b: [x, 2.5, true, null, 0x10]
c: &base {d: 2020-02-30x, e: "quoted"}
f: *base
g:
  <<: *base
  e: other
"""


def test_values_are_pyyamls_and_lines_those_of_the_file():
    root = yaml_lines.parse(GOOD, SOURCE)
    assert root.plain() == yaml.safe_load(GOOD)
    assert [node.line for node in root.value.values()] == [2, 3, 4, 5, 6]
    assert root.value["c"].value["e"].key == "c.e"
    assert yaml_lines.parse("# nothing\n", SOURCE) is None


def _bomb(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "a bomb of references": (_bomb(30), "more than 20000 values"),
    "a bomb of merged keys": (
        "\n".join(["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9))]),
        "more than 20000 values",
    ),
    "itself": ("a: &a [*a]", r"\*a stands for a value that it is a part of"),
    "itself as a key": ("&a {*a : 1}", "is a part of"),
    "brackets": ("[" * 3000, "more than 50 levels|not YAML"),
    "braces": ("{a: " * 3000, "more than 50 levels|not YAML"),
    "lines": ("\n".join("- " * n + "x" for n in range(60, 0, -1)), "more than 50 levels"),
    "deep": ("".join(f"{' ' * n}a:\n" for n in range(3000)), "more than 50 levels"),
    "a NUL": ("a: \0", "not YAML"),
    "an escape": ("a: \x1b[31m", "not YAML"),
    "a list as key": ("? [a, b]\n: c", "a key is expected to be a word"),
    "a mapping as key": ("{a: b}: c", "a key is expected to be a word"),
    "a long number": (f"a: {'1' * 5000}", "a: not YAML: .*put it in quotes"),
    "a long text": (f"a: {'x' * 10001}", "more than 10000 characters"),
    "no number": ("a: !!int ''", "a: not YAML: '' is no int"),
    "no boolean": ("a: !!bool maybe", "a: not YAML: 'maybe' is no bool"),
    "no time": ("a: !!timestamp yesterday", "a: not YAML: 'yesterday' is no timestamp"),
    "an object": ("a: !!python/object/apply:os.system [id]", "a mapping|not YAML|list"),
    "a scalar object": ("a: !!python/name:os.system ''", "not YAML: could not determine a constructor"),
    "twice": ("a: 1\nb: 2\na: 3", "some.yaml:3: a: is there twice, first in line 1"),
    "two documents": ("a: 1\n---\nb: 2", "not YAML: but found another document"),
    "unknown reference": ("images: *.png", r"not YAML: .*: put a text that begins with \* in quotes"),
}


@pytest.mark.parametrize("text, said", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_ends_in_one_line(text, said):
    began = time.monotonic()
    with pytest.raises(UsageError, match=said) as caught:
        yaml_lines.parse(text, SOURCE).mapping()["a"].text()
    assert "\n" not in str(caught.value) and str(caught.value).startswith("some.yaml")
    assert len(str(caught.value)) < 300
    assert time.monotonic() - began < 5


def test_files(tmp_path):
    path = tmp_path / "a.yaml"
    os.mkfifo(path)
    with pytest.raises(UsageError, match="Not a regular file"):
        yaml_lines.load(path)
    with pytest.raises(UsageError, match="Not a regular file"):
        yaml_lines.load("/dev/zero")
    with pytest.raises(UsageError, match="Is a directory"):
        yaml_lines.load(tmp_path)
    path.unlink()
    path.write_bytes(b"# " + bytes(2**18))
    with pytest.raises(UsageError, match="Longer than 262144 bytes"):
        yaml_lines.load(path)
    path.write_bytes(b"a: \xff")
    with pytest.raises(UsageError, match="cannot be read: .*utf-8"):
        yaml_lines.load(path)
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert yaml_lines.load(path).plain() == {"a": 1}
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="is empty"):
        yaml_lines.load(path)
    assert yaml_lines.load(path, may_be_empty=True).plain() == {}
