"""The pickle inside a Torch file, read as a description of tensors: nothing in it is imported, called or executed.

A pickle is a program for a stack machine, and Python's `pickle` runs it: whoever wrote the file decides which functions
are called. This reader decodes the program with `pickletools` and knows only the instructions and the few names that
tensors, numbers, texts and containers of them need. Everything else is refused by name. Memory is bounded by the size
of the pickle.
"""

import pickletools
from dataclasses import dataclass

import numpy as np

from msda_tf.errors import MsdaError

STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    # NumPy has no such type: its bits are the upper half of a float32's.
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "|b1",
}
"""Torch's name of an element type -> NumPy's."""

_REBUILD = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_NAMES = {*STORAGES, *_REBUILD, "torch._utils._rebuild_parameter", "torch.Size", "collections.OrderedDict"}


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor's numbers lie.

    Attributes:
      storage: key of the array of numbers it is a view of.
      dtype: of these numbers, a value of `STORAGES`.
      size: how many numbers the storage holds.
      offset, shape, strides: of the view, in numbers.
    """

    storage: str
    dtype: str
    size: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """A Python object that the pickle names."""

    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    size: int


class _Mark:
    """Where the items of a container begin on the stack."""


_MAX_DIMENSIONS = 32  # NumPy refuses more than 64 with an error of its own
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"})
_TEXTS = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"})
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


def read(stream, path):
    """The object that the next pickle of a stream describes, with a `TensorEntry` for each tensor.

    Args:
      stream: a readable binary stream that gives no more than it holds, however much is asked for (an `mmap`, a
        `BytesIO`); left at the pickle's end.
      path: of the file, for errors.

    Returns:
      dicts, lists, tuples, numbers, texts, None and `TensorEntry`.

    Raises:
      MsdaError: the pickle is cut off or no pickle, or it holds anything else.
    """
    try:
        return _run(stream, path)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise damaged(path, error) from None


def entries(value) -> list[TensorEntry]:
    """Every tensor in an object that `read` gave."""
    found, seen, waiting = [], set(), [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, TensorEntry):
            found.append(item)
        elif isinstance(item, dict | list | tuple) and id(item) not in seen:
            seen.add(id(item))  # containers may hold each other
            waiting += item.values() if isinstance(item, dict) else item
    return found


def number_type(entry: TensorEntry) -> np.dtype:
    """NumPy's type of a tensor's numbers as they lie in the file; bfloat16 as uint16."""
    return np.dtype(entry.dtype.replace("bfloat16", "<u2"))


def damaged(path, reason) -> MsdaError:
    """The error for a file whose content does not fit together."""
    text = (str(reason).strip().splitlines() or [type(reason).__name__])[0][:120]
    return MsdaError(f"{path} is damaged or no Torch file ({text}): get it again")


def _run(stream, path):
    stack, memo = [], {}
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _NUMBERS or name in _TEXTS:
            stack.append(argument)
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_Mark())
        elif name == "TUPLE":
            stack.append(tuple(_since_mark(stack)))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else _since_mark(stack)
            stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else _since_mark(stack)
            _set_items(stack[-1], items)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_known(argument.replace(" ", "."), path))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_known(f"{_text(module)}.{_text(attribute)}", path))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function.name, arguments))
        elif name == "BUILD":
            stack.pop()  # an OrderedDict's attributes: Torch keeps its layers' versions there
            if not isinstance(stack[-1], dict):
                raise ValueError("its pickle sets attributes of something that is no dict")
        else:
            raise _refusal(path, f"the pickle instruction {name}")
    raise ValueError("its pickle has no end")


def _since_mark(stack) -> list:
    """Takes the items above the last mark off the stack, and the mark."""
    position = len(stack) - 1
    while not isinstance(stack[position], _Mark):
        position -= 1
        if position < 0:
            raise ValueError("its pickle has no mark where it needs one")
    items = stack[position + 1 :]
    del stack[position:]
    return items


def _set_items(target, items):
    if not isinstance(target, dict):
        raise ValueError("its pickle sets an item of something that is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # No tuples: to hash one that holds another twice, level upon level, takes forever.
        if not isinstance(key, str | int | float):
            raise ValueError("its pickle has a key that is neither text nor number")
        target[key] = value


def _text(value) -> str:
    if not isinstance(value, str):
        raise ValueError("a name of its pickle is no text")
    return value


def _known(name: str, path) -> _Name:
    if name not in _NAMES:
        raise _refusal(path, name)
    return _Name(name)


def _refusal(path, name: str) -> MsdaError:
    return MsdaError(
        f"{path} holds Python objects beside its tensors ({' '.join(name.split())[:80]}), and running them is not "
        "safe: in Torch, save model.state_dict() alone"
    )


def _storage(value) -> _Storage:
    """A storage: ("storage", type, key, device, numbers), which files before Torch 1.6 follow by None."""
    if not isinstance(value, tuple) or len(value) < 5 or value[0] != "storage" or value[5:] not in ((), (None,)):
        raise ValueError("a storage that it names is none of Torch's")
    kind, key, size = value[1].name, _text(value[2]), value[4]
    if not isinstance(size, int) or size < 0:
        raise ValueError("a storage of it has no size")
    return _Storage(key, STORAGES[kind], size)


def _call(name: str, arguments):
    """What one of the known functions would give."""
    if name == "collections.OrderedDict" and arguments == ():
        return {}
    if name == "torch.Size":
        return tuple(arguments[0])
    if name == "torch._utils._rebuild_parameter" and isinstance(arguments[0], TensorEntry):
        return arguments[0]
    if name not in _REBUILD:
        raise ValueError(f"its pickle calls {name} with other arguments than Torch does")
    storage, offset, shape, strides = arguments[:4]
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError("a tensor of it has no shape")
    if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a tensor of it has other strides than dimensions, or too many")
    return TensorEntry(storage.key, storage.dtype, storage.size, offset, tuple(shape), tuple(strides))
