"""Roaring bitmaps of 64 bits in their portable form, as Delta's deletion vectors have them.

Nothing in the bytes is believed: every count is checked against what is left of them before memory is taken,
every order and every offset is checked, and no byte may be left over.
Source: RoaringFormatSpec, "Extension for 64-bit implementations", and Delta's PROTOCOL.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_MAGIC = 1681511377
_NO_RUNS = 12346
_WITH_RUNS = 12347
_FEWEST_WITH_OFFSETS = 4
"""A bitmap with runs has offsets from this many containers on; one without always has."""
_MOST_IN_ARRAY = 4096
_BITSET_BYTES = 8192
_CONTAINER = 1 << 16
_MOST_KEYS = 1 << 31
"""The upper half of a position that an int64 holds."""


class BitmapError(ValueError):
    """Bytes that are no such bitmap."""


def parse_bitmap(data: bytes, *, count: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The `count` positions of a serialized bitmap: int64, increasing. No more memory is taken than they need.

    Raises:
        BitmapError: the bytes are no bitmap, or one of another number of positions.
    """
    import numpy as np

    reader = _Reader(data, count)
    if (magic := reader.number(4)) != _MAGIC:
        raise BitmapError(f"it starts with {magic}, which is not the mark of a deletion vector")
    bitmaps, before = reader.number(8), -1
    for _ in range(bitmaps):
        key = reader.number(4)
        if not before < key < _MOST_KEYS:
            raise BitmapError(f"the key {key} of a bitmap is out of order or out of range")
        before = key
        reader.bitmap(key << 32)
    if reader.left:
        raise BitmapError(f"there are {reader.left} bytes too many")
    if reader.count != 0:
        raise BitmapError(f"it deletes {count - reader.count} rows, and the log says {count}")
    return np.concatenate(reader.found) if reader.found else np.empty(0, np.int64)


class _Reader:
    """Takes bytes from the front, and keeps the positions found; `count` is how many there may still be."""

    def __init__(self, data: bytes, count: int) -> None:
        self.data = data
        self.at = 0
        self.count = count
        self.found: list[np.ndarray[Any, np.dtype[np.int64]]] = []

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise BitmapError("it is cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def numbers(self, count: int, kind: str) -> "np.ndarray[Any, Any]":
        import numpy as np

        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)

    def bitmap(self, base: int) -> None:
        """Read one bitmap of 32 bits, whose positions start at `base`."""
        import numpy as np

        start = self.at
        containers, runs = self.cookie()
        header = self.numbers(containers * 2, "<u2").reshape(containers, 2).astype(np.int64)
        keys, sizes = header[:, 0], header[:, 1] + 1
        if (np.diff(keys) <= 0).any():
            raise BitmapError("its containers are out of order")
        if (total := int(sizes.sum())) > self.count:
            raise BitmapError(f"it deletes {total - self.count} rows more than the log says")
        self.count -= total
        offsets = self.offsets(containers, runs=runs is not None)
        run = np.zeros(containers, np.bool_) if runs is None else runs
        for n in range(containers):
            if offsets is not None and offsets[n] != self.at - start:
                raise BitmapError(f"the offset {offsets[n]} of a container is wrong")
            lows = self.container(int(sizes[n]), runs=bool(run[n]))
            self.found.append(lows + (base + int(keys[n]) * _CONTAINER))

    def cookie(self) -> "tuple[int, np.ndarray[Any, np.dtype[np.bool_]] | None]":
        """How many containers follow, and which of them are runs; None where none can be."""
        import numpy as np

        cookie = self.number(4)
        if cookie == _NO_RUNS:
            if (containers := self.number(4)) > _CONTAINER:
                raise BitmapError(f"a bitmap of {containers} containers is none")
            return containers, None
        if cookie & 0xFFFF != _WITH_RUNS:
            raise BitmapError(f"a bitmap that starts with {cookie} is none")
        containers = (cookie >> 16) + 1
        flags = np.unpackbits(self.numbers((containers + 7) // 8, "u1"), bitorder="little")
        return containers, flags[:containers].astype(np.bool_)

    def offsets(self, containers: int, *, runs: bool) -> "np.ndarray[Any, np.dtype[np.uint32]] | None":
        if runs and containers < _FEWEST_WITH_OFFSETS:
            return None
        return self.numbers(containers, "<u4")

    def container(self, size: int, *, runs: bool) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """The `size` values of one container, each below 65,536."""
        import numpy as np

        if runs:
            return self.runs(size)
        if size <= _MOST_IN_ARRAY:
            values = self.numbers(size, "<u2").astype(np.int64)
            if (np.diff(values) <= 0).any():
                raise BitmapError("the values of a container are out of order")
            return values
        bits = np.unpackbits(self.numbers(_BITSET_BYTES, "u1"), bitorder="little")
        values = np.flatnonzero(bits).astype(np.int64, copy=False)
        if values.size != size:
            raise BitmapError(f"a container has {values.size} values and says {size}")
        return values

    def runs(self, size: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
        import numpy as np

        pairs = self.numbers(self.number(2) * 2, "<u2").reshape(-1, 2).astype(np.int64)
        starts, lengths = pairs[:, 0], pairs[:, 1] + 1
        ends = starts + lengths
        if (starts[1:] < ends[:-1]).any() or (ends > _CONTAINER).any():
            raise BitmapError("the runs of a container are out of order")
        if int(lengths.sum()) != size:
            raise BitmapError(f"a container has {int(lengths.sum())} values and says {size}")
        # each run counts on from its start: its first value less the number of values before it
        shift = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        return shift + np.arange(size, dtype=np.int64)
