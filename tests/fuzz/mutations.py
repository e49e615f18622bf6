"""Values, texts and bytes as nobody should write them: everything follows from one random generator."""

import json
import random
import struct

WORDS = (
    "",
    " ",
    "x",
    "../x",
    "~nobody/x",
    "gs://bucket/x",
    "[1e-4]",
    "*",
    "a\nb",
    "\x1b[31mred",
    "\u202eturned",
    "a\0b",
    "\udcdf",
    "e\u0301",
    "null",
    "nan",
    "-inf",
    "1e999",
    "0x10",
    "1_000",
    "2026-13-45",
    "true",
    "train",
    "test",
    "A" * 5000,
    "[" * 3000,
    "{}",
    "%s%n",
    "\\",
    "'",
    '"',
)
NUMBERS = (0, -1, 1, 2, 255, 256, 2**31, 2**53 + 1, 2**64, -(2**63), 10**40, 10**400, 0.5, -0.5, 1e308, 1e-320)
YAML = (
    "&a [*a]",
    "*b",
    "&a x",
    "!!python/object/apply:os.system [x]",
    "!!binary x",
    "!!timestamp 2026-99-99",
    "!!int x",
    "!!float x",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!null x",
    "<<: 1",
    "<<: [1, {a: b}]",
    "? [a, b]\n: c",
    "? {a: b}\n: c",
    "1: 2",
    ".nan",
    ".inf",
    "-.inf",
    "0b2",
    "0o9",
    "1:99:99",
    "= ",
    "2026-02-30",
    "2026-01-01T99:00:00Z",
    "0001-01-01",
    "[" * 200,
    "{" * 200,
    "- " * 200,
    "|\n  x",
    ">-\n",
    "--- ",
    "...",
    "%YAML 9.9",
    "%TAG ! x",
    "\t",
    "'",
    '"\\x',
    '"\\ud800"',
    "@",
    "`",
    "#",
    "~",
    "y",
    "on",
)


def value(rng: random.Random):
    """A value that JSON may hold, or that Python's reader takes for one."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice(WORDS)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind == 3:
        return rng.choice((float("nan"), float("inf"), float("-inf"), None, True, False))
    if kind == 4:
        return [value(rng) for _ in range(rng.randrange(4))]
    if kind == 5:
        return {rng.choice(WORDS): value(rng) for _ in range(rng.randrange(4))}
    if kind == 6:
        return [[]] * 100_000
    deep = []
    for _ in range(500):
        deep = [deep]
    return deep


def _places(found, path=()):
    yield path
    for key in found if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ():
        yield from _places(found[key], (*path, key))


def changed(rng: random.Random, found):
    """A JSON value with one to three places changed: removed, replaced, doubled, renamed, moved."""
    found = json.loads(json.dumps(found))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        *before, last = rng.choice([path for path in _places(found) if path] or [(None,)])
        if last is None:
            return value(rng)
        holder = found
        for key in before:
            holder = holder[key]
        kind = rng.randrange(6)
        if kind == 0:
            del holder[last]
        elif kind == 1 and isinstance(holder, list):
            holder.append(holder[last])
        elif kind == 2 and isinstance(holder, dict):
            holder[rng.choice(WORDS)] = holder.pop(last)
        elif kind == 3:
            others = [path for path in _places(found) if path]
            other = found
            for key in rng.choice(others):
                other = other[key]
            holder[last] = json.loads(json.dumps(other))
        elif type(holder[last]) in (int, float) and rng.random() < 0.5:
            holder[last] = rng.choice((holder[last] + 1, -holder[last], holder[last] * 10**6, str(holder[last])))
        else:
            holder[last] = value(rng)
    return found


def json_bytes(rng: random.Random, content: bytes) -> bytes:
    """A JSON file, changed as a value four times in five, and as bytes otherwise."""
    if rng.random() < 0.2:
        return damaged(rng, content)
    try:
        text = json.dumps(changed(rng, json.loads(content)), indent=rng.choice((None, 1)))
    except RecursionError:  # deeper than our own encoder goes: the same in brackets
        text = "[" * 2000 + "]" * 2000
    if rng.random() < 0.1:  # a key twice
        text = text.replace("{", '{"format": 2, ', 1)
    return text.encode(rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16")))


def damaged(rng: random.Random, content: bytes, *, first: int | None = None) -> bytes:
    """Bytes with some changed, of the first `first` ones if that is given: a header."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(max(1, min(len(data), first or len(data))))
        kind = rng.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + rng.randrange(1, 64)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 16))
        elif kind == 3:
            data[at:at] = data[at : at + rng.randrange(1, 256)]
        elif kind == 4:
            number = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 20000, 65535))
            data[at : at + 4] = struct.pack(rng.choice((">I", "<I")), number)
        elif kind == 5:
            data[at : at + 8] = struct.pack(rng.choice((">Q", "<Q")), rng.choice((0, 2**40, 2**63, 2**64 - 1)))
        elif at < len(data):
            data[at] = rng.choice((0, 0xFF, data[at] ^ (1 << rng.randrange(8)), rng.randrange(256)))
    return bytes(data)


def yaml_bytes(rng: random.Random, content: bytes) -> bytes:
    """A YAML file, changed by lines and values, and as bytes once in six times."""
    if rng.random() < 0.16:
        return damaged(rng, content)
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines)) if lines else 0
        kind = rng.randrange(8)
        if kind == 0 and lines:
            del lines[at]
        elif kind == 1 and lines:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2 and lines:
            lines[at] = rng.choice(("", " ", "  ", "\t", "- ")) + lines[at]
        elif kind == 3:
            lines.insert(at, rng.choice(YAML))
        elif lines and ":" in lines[at]:
            key, _, rest = lines[at].partition(":")
            new = rng.choice(
                (rng.choice(YAML), json.dumps(value(rng))[:9000], rest.replace("/", "*"), rng.choice(WORDS))
            )
            lines[at] = f"{key}: {new}"
        elif lines:
            lines[at] = lines[at].replace(rng.choice(lines[at] or "x"), rng.choice(YAML), 1)
    text = rng.choice(("\n",) * 6 + ("\r\n", "\r")).join(lines) + "\n"
    return text.encode(rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16")), "surrogatepass")
