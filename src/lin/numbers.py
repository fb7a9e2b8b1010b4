"""Floats that keep every bit through JSON: NaN (with its payload), infinities and -0.0 included."""

import math
import struct

_QUIET_NAN = 0x7FF8000000000000


class Real(float):
    """A float of a record. Where JSON has no number for it, it is written as text: see `to_json`."""

    __slots__ = ()


def to_json(value: float) -> float | str:
    """A JSON number where there is one, else `"Infinity"`, `"-Infinity"`, `"NaN"` or `"NaN(0x…)"` with the bits."""
    if math.isfinite(value):
        return float(value)
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return "NaN" if bits == _QUIET_NAN else f"NaN(0x{bits:016x})"


def from_json(value: object) -> Real:
    """The inverse of `to_json`. Raises `ValueError` for anything that `to_json` does not write."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Real(value)
    if value == "NaN":
        return Real(struct.unpack(">d", struct.pack(">Q", _QUIET_NAN))[0])
    if value in ("Infinity", "-Infinity"):
        return Real(str(value))
    if isinstance(value, str) and value.startswith("NaN(0x") and value.endswith(")"):
        real = Real(struct.unpack(">d", struct.pack(">Q", int(value[4:-1], 16)))[0])
        if math.isnan(real):
            return real
    raise ValueError(f"not a number: {value!r}")
