"""A skops file as bytes: taken apart under caps, and put together in one canonical form.

skops names members by memory address, dates them and counts ids by address, so two dumps of one model differ. Here
ids and names are numbered in the order of the schema, sets are sorted, the padding of arrays is zero, dates are
fixed, and nothing is compressed (bytes that hang on the zlib at hand): a fitted model has the same bytes everywhere.
"""

import io
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from lin.errors import OutsideError

MOST_MEMBERS = 1_000_000
MOST_NODES = 20_000_000
DEEPEST = 300
"""Levels of JSON in the schema. A pipeline in a stacking in a search has about 60."""
LARGEST_RATIO = 100
SLACK = 64 << 20
"""A file may unpack to `LARGEST_RATIO` times its size and this many bytes more: honest arrays of zeros do."""

_SCHEMA = "schema.json"
_MEMBERS = re.compile(r"schema\.json|[0-9a-f-]{1,40}\.(?:npy|npz|bin)")
_SPARSE_MEMBERS = re.compile(r"[A-Za-z_]{1,40}\.npy")
_ADDRESSES = frozenset(("_stop_words_id",))
"""Attributes in which scikit-learn keeps a memory address; it looks again where there is none."""

_VALUES = frozenset(("JsonNode", "TypeNode", "FunctionNode", "SliceNode", "DTypeNode", "TupleNode", "BytesNode"))
"""Nodes of immutable values: whether two equal ones are the same object differs from process to process."""

Node = dict[str, Any]


class Archive(NamedTuple):
    """A skops file taken apart: the tree of nodes, and the members that it names.

    `room` is how many bytes the archives among its members may unpack to, all of them together.
    """

    schema: Node
    members: dict[str, bytes]
    room: int = SLACK


def damaged(why: str) -> OutsideError:
    """The refusal of a model file."""
    return OutsideError(f"the model file is refused: {why}", hint="restore it from a backup, or train the model again")


def read_archive(data: bytes) -> Archive:
    """Take a skops file apart. Nothing is imported and nothing in it runs.

    Raises:
        OutsideError: not a zip, an unexpected member, or more than the caps allow.
    """
    room = _room_of(data)
    members = unpack(data, _MEMBERS, room)
    if _SCHEMA not in members:
        raise damaged(f"it has no {_SCHEMA}, so skops did not write it")
    try:
        schema = msgspec.json.decode(members.pop(_SCHEMA))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(f"its {_SCHEMA} cannot be read: {error}") from error
    if not isinstance(schema, dict) or "__loader__" not in schema:
        raise damaged(f"its {_SCHEMA} does not describe an object")
    protocol = schema.get("protocol")
    if type(protocol) is not int or protocol < 1:
        raise damaged(f"it is in skops protocol {protocol!r}; lin reads 1 and later")
    return Archive(schema, members, room - sum(map(len, members.values())))


def write_archive(archive: Archive) -> bytes:
    """Put an archive together: the schema first, then the members in their order, no dates, not compressed."""
    return _pack({_SCHEMA: msgspec.json.encode(archive.schema), **archive.members})


def canonical(archive: Archive) -> Archive:
    """The same archive with ids and members numbered by first appearance, and members that nobody names left out.

    Objects that were one object stay one. Raises `OutsideError` where the schema is not one that skops writes.
    """
    return _Numbering(archive).archive()


def nodes(schema: Node) -> Iterator[Node]:
    """Every node of a canonical schema, in no order that means anything."""
    waiting: list[Any] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict) and _is_node(value):
            yield value
            if value["__loader__"] == "DictNode":
                waiting.append(value["key_types"])
                waiting += value["content"].values()
            elif value["__loader__"] != "JsonNode":
                waiting += value.values()
        elif isinstance(value, dict):
            waiting += value.values()


def type_of(node: Node) -> str:
    """The import path of what a node makes."""
    return f"{node['__module__']}.{node['__class__']}"


def _room_of(data: bytes) -> int:
    return len(data) * LARGEST_RATIO + SLACK


def unpack(data: bytes, names: re.Pattern[str], budget: int) -> dict[str, bytes]:
    """Read every member of a zip whose names must all match. Sizes are counted while reading, never believed.

    Args:
        data: the zip.
        names: of its members.
        budget: the bytes that all of them may have.

    Raises:
        OutsideError: not a zip, a foreign, doubled or encrypted member, too many, too large, or too compressed.
    """
    if not data.startswith(b"PK\x03\x04"):
        raise _not_a_zip(data)
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            infos = file.infolist()
            if len(infos) > MOST_MEMBERS:
                raise damaged(f"it has {len(infos)} members")
            for info in infos:
                _check_member(info, names, members)
                with file.open(info) as stream:
                    members[info.filename] = stream.read(budget + 1)
                budget -= len(members[info.filename])
                if budget < 0:
                    raise damaged(f"it unpacks to more than {LARGEST_RATIO} times its size")
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        RuntimeError,
    ) as error:
        raise damaged(f"its zip is damaged: {error}") from error
    return members


def _check_member(info: zipfile.ZipInfo, names: re.Pattern[str], seen: dict[str, bytes]) -> None:
    encrypted = info.flag_bits & 0x1
    known = info.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if not names.fullmatch(info.filename) or info.filename in seen or encrypted or not known:
        raise damaged(f"it has an unexpected member {info.filename[:80]!r}")


def _not_a_zip(data: bytes) -> OutsideError:
    if data[:1] == b"\x80" or data[:2] in {b"cp", b"(l", b"(d", b"cb", b"c_", b"ct"}:
        return OutsideError(
            "the model file is a pickle, which runs code when it is read, and is not called one",
            hint="store the model with skops.io.dump, or train it with lin",
        )
    return damaged(f"it is not a zip as skops writes it; it starts with {data[:8]!r}")


def _pack(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)  # its date is 1980-01-01
            info.create_system = 3
            info.external_attr = 0o600 << 16
            file.writestr(info, content)
    return buffer.getvalue()


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("__loader__"), str)


class _Numbering:
    """One walk over a schema that copies it with new ids and member names."""

    def __init__(self, archive: Archive) -> None:
        self.old = archive
        self.ids: dict[int, int] = {}
        self.files: dict[str, str] = {}
        self.last = 0
        self.room = archive.room

    def archive(self) -> Archive:
        schema = self.node(self.old.schema, 0)
        return Archive(schema, {new: self.content(old) for old, new in self.files.items()})

    def content(self, name: str) -> bytes:
        data = self.old.members[name]
        if name.endswith(".npz"):
            parts = unpack(data, _SPARSE_MEMBERS, self.room)
            self.room -= sum(map(len, parts.values()))
            return _pack({part: _clean_array(parts[part]) for part in sorted(parts)})
        return _clean_array(data) if name.endswith(".npy") else data

    def node(self, state: Any, depth: int) -> Node:
        if not _is_node(state) or not all(isinstance(state.get(k), str) for k in ("__class__", "__module__")):
            raise damaged("a node of its schema lacks a type")
        loader = state["__loader__"]
        if loader == "CachedNode":
            raise damaged("it refers to an object by number alone, which skops does not write")
        new: Node = {"__id__": self.number(state.get("__id__"), loader)}
        if loader in {"SetNode", "ConstructorFromReduceNode"}:
            state = _with_sets_sorted(state)
        elif loader == "TreeNode":
            state = self.tree(state)
        for key in sorted(state.keys() - {"__id__"}):
            if loader == "DictNode" and key in {"content", "key_types"}:
                continue
            new[key] = self.file(state[key]) if key == "file" else self.value(state[key], depth + 1)
        return new | self.dictionary(state, depth + 1) if loader == "DictNode" else new

    def dictionary(self, state: Node, depth: int) -> Node:
        """The parts of a dict: its keys stand in JSON as text, and `key_types` says what each was."""
        content, key_types = state.get("content"), state.get("key_types")
        if not isinstance(content, dict) or not isinstance(key_types, dict):
            raise damaged("a dict in it lacks its keys")
        kinds = key_types.get("content") if key_types.get("__loader__") == "ListNode" else None
        if not isinstance(kinds, list) or len(kinds) != len(content):
            raise damaged("a dict in it has keys that are one and the same as text")
        return {
            # a list of its own: an id of another list's would put that list's items in the place of these types
            "key_types": self.node({**key_types, "__id__": None}, depth),
            "content": {key: self.node(_without_address(key, value), depth) for key, value in content.items()},
        }

    def tree(self, state: Node) -> Node:
        """A tree whose nodes are one array in one dimension: scikit-learn takes its length before it looks at it."""
        held: Any = state.get("content")
        parts: Any = held.get("content") if _is_node(held) and held["__loader__"] == "DictNode" else None
        array: Any = parts.get("nodes") if isinstance(parts, dict) else None
        if not _is_node(array) or array["__loader__"] != "NdArrayNode" or array.get("type") != "numpy":
            raise damaged("a tree in it lacks its nodes")
        name = array.get("file")
        if not isinstance(name, str) or name not in self.old.members or len(_header(self.old.members[name]).shape) != 1:
            raise damaged("a tree in it has nodes that are no list")
        # ids of their own: those of others would put these in the place of what was looked at
        alone = {**parts, "nodes": {**array, "__id__": None}}
        return {**state, "content": {**held, "__id__": None, "content": alone}}

    def value(self, value: Any, depth: int) -> Any:
        if depth > DEEPEST:
            raise damaged(f"its schema is nested deeper than {DEEPEST} levels")
        if isinstance(value, list):
            return [self.value(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        if _is_node(value):
            return self.node(value, depth)
        return {key: self.value(value[key], depth + 1) for key in sorted(value)}

    def number(self, old: Any, loader: str) -> int:
        if loader not in _VALUES and isinstance(old, int) and old in self.ids:
            return self.ids[old]
        self.last += 1
        if self.last > MOST_NODES:
            raise damaged(f"its schema has more than {MOST_NODES} nodes")
        if loader not in _VALUES and isinstance(old, int):
            self.ids[old] = self.last
        return self.last

    def file(self, name: Any) -> str:
        if not isinstance(name, str) or name not in self.old.members:
            raise damaged(f"its member {name!r} is missing")
        _, _, ending = name.rpartition(".")
        return self.files.setdefault(name, f"{len(self.files)}.{ending}")


def _without_address(key: str, value: Any) -> Any:
    if key in _ADDRESSES and isinstance(value, dict) and value.get("__loader__") == "JsonNode":
        return {**value, "content": "null"}
    return value


class _Header(NamedTuple):
    """What a `.npy` file says of itself, and where its bytes begin."""

    shape: tuple[int, ...]
    kind: Any
    body: int


def _header(data: bytes) -> _Header:
    """The header of a `.npy` file without pickled objects. Raises `OutsideError`."""
    from numpy.lib import format as npy

    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(stream)
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, OverflowError) as error:
        raise damaged(f"an array in it cannot be read: {error}") from error
    if version > (2, 0) or kind.hasobject:
        raise damaged("an array in it holds pickled objects, which would run code")
    return _Header(shape, kind, stream.tell())


def _clean_array(data: bytes) -> bytes:
    """Check that a `.npy` file is what its header says, holds no pickled objects, and has zeros between its fields."""
    import numpy as np

    shape, kind, body = _header(data)
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * kind.itemsize != len(data) - body or (count and not kind.itemsize):
        raise damaged(f"an array in it says it has shape {shape}, but has {len(data) - body} bytes")
    if kind.names is None:
        return data
    dirty = np.frombuffer(data, kind, offset=body)
    clean = np.zeros(count, kind)
    for name in kind.names:
        clean[name] = dirty[name]
    return data[:body] + clean.tobytes()


def _with_sets_sorted(state: Node) -> Node:
    """A set's order follows the hash seed of the process: sort its items by what they say."""
    content = state.get("content")
    if state["__loader__"] == "SetNode" and isinstance(content, list):
        return {**state, "content": sorted(content, key=_text)}
    if type_of(state) == "builtins.frozenset" and isinstance(content, dict):
        (items,) = content["content"] if len(content.get("content", ())) == 1 else (None,)
        if isinstance(items, dict) and isinstance(items.get("content"), list):
            items = {**items, "content": sorted(items["content"], key=_text)}
            return {**state, "content": {**content, "content": [items]}}
    return state


def _text(state: Any) -> bytes:
    return msgspec.json.encode(_without_ids(state), order="deterministic")


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(item) for key, item in value.items() if key != "__id__"}
    return [_without_ids(item) for item in value] if isinstance(value, list) else value
