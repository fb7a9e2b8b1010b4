"""The files of runs: `runs/<day>/<id>/` with `start.json`, `log.jsonl`, `output.log` and, written last, `run.json`.

A run is sealed when its `run.json` is there. Each line of `log.jsonl` carries a checksum, so that a torn or rotten
line is noticed and costs only itself.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from math import isfinite
from zlib import crc32

import msgspec

from lin.errors import NewerError, StoreError, UsageError
from lin.ids import SHORT, day_of, is_id, short
from lin.numbers import Real, from_json
from lin.records import (
    UPGRADE,
    ArtifactKept,
    InputRead,
    LogLine,
    MetricPoint,
    OutputWritten,
    ParamSet,
    Record,
    Sealed,
    Seen,
    Start,
    TagSet,
    digest,
    encode,
)
from lin.sealed import decode_sealed, encode_sealed
from lin.store.backend import Appender, Backend

LOG = "log.jsonl"
OUTPUT = "output.log"

_BEGINNING = re.compile(rb'\{"crc":"[0-9a-f]{8}",')
_MOST_BEGINNINGS = 4
"""In a damaged line as many are looked at: it may be as long as somebody likes."""
_CHECKSUM = 18
"""A line starts with `{"crc":"89abcdef",`: 18 bytes."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MAY_BE_ID = re.compile(r"[0-9a-f]{4,32}")


class Point(Record, frozen=True, tag_field="type", tag="metric"):
    """A `MetricPoint` as JSON has it, for logs of a million: `value` is a number, or the text that `numbers` makes."""

    key: str
    value: float | str
    time: float
    step: int = 0


Line = Point | ParamSet | TagSet | ArtifactKept | InputRead | OutputWritten | Seen
"""What `LogLine` has, with `Point` for `MetricPoint`."""

_POINTS = msgspec.json.Encoder(order="deterministic")
_LINES = msgspec.json.Decoder(Line)


class Runs:
    """The runs of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def begin(self, start: Start) -> str:
        """Write `start.json`; returns its sha256."""
        data = encode_sealed(start)
        self._backend.put_if_absent(_key(start.id, "start.json"), data)
        return digest(data)

    def seal(self, sealed: Sealed) -> None:
        """Write `run.json`. Raises `ConflictError` if the run is sealed already."""
        self._backend.put_if_absent(_key(sealed.id, "run.json"), encode_sealed(sealed))

    def start(self, run_id: str) -> Start:
        """Read `start.json`."""
        return self.start_and_digest(run_id)[0]

    def start_and_digest(self, run_id: str) -> tuple[Start, str]:
        """Read `start.json`, and the sha256 of its bytes."""
        key = _key(run_id, "start.json")
        data = self._backend.read(key)
        return decode_sealed(data, Start, where=key), digest(data)

    def sealed(self, run_id: str) -> Sealed | None:
        """Read `run.json`, or None if the run is not sealed."""
        key = _key(run_id, "run.json")
        if self._backend.size(key) is None:
            return None
        return decode_sealed(self._backend.read(key), Sealed, where=key)

    def appender(self, run_id: str, name: str) -> Appender:
        """Open the run's `log.jsonl` or `output.log` for appending."""
        return self._backend.appender(_key(run_id, name))

    def file(self, run_id: str, name: str) -> bytes | None:
        """The bytes of the run's `log.jsonl` or `output.log`, or None if there is none."""
        key = _key(run_id, name)
        return None if self._backend.size(key) is None else self._backend.read(key)

    def days(self) -> dict[str, list[str]]:
        """The names in the folder of each day, the newest day first: ids of runs, in no order, if nobody put others."""
        days = sorted(filter(_DAY.fullmatch, self._backend.list("runs")), reverse=True)
        return {day: self._backend.list(f"runs/{day}") for day in days}

    def ids(self) -> Iterator[str]:
        """Every run that has begun, newest first."""
        for names in self.days().values():
            yield from (name for name in sorted(names, reverse=True) if is_id(name) and self.has_begun(name))

    def has_begun(self, run_id: str) -> bool:
        """Whether the run has its `start.json`: a kill can leave a folder without."""
        return self._backend.size(_key(run_id, "start.json")) is not None

    def is_sealed(self, run_id: str) -> bool:
        """Whether the run has its `run.json`."""
        return self._backend.size(_key(run_id, "run.json")) is not None

    def find(self, digits: str) -> str | None:
        """The id of the run that has this id, or this prefix or suffix of it, of four digits at least.

        Raises:
            UsageError: several ids fit.
        """
        if is_id(digits):
            return digits if self.has_begun(digits) else None
        if not _MAY_BE_ID.fullmatch(digits):
            return None
        near: list[str] = []
        for names in self.days().values():
            text = f" {' '.join(names)} "  # one look at all names of a day is faster than a look at each
            if f" {digits}" in text or f"{digits} " in text:
                near += (name for name in names if name.startswith(digits) or name.endswith(digits))
        fits = sorted((name for name in near if is_id(name) and self.has_begun(name)), reverse=True)
        if len(fits) > 1:
            shown = ", ".join(short(i) for i in fits[:5])
            raise UsageError(f"'{digits}' fits {len(fits)} runs: {shown}", hint="give more digits")
        return fits[0] if fits else None


def encode_line(line: LogLine) -> bytes:
    """One line of `log.jsonl`: the record as JSON, with the CRC-32 of that JSON as its first member."""
    return _with_checksum(encode(line))


def encode_point(key: str, value: float, time: float, step: int) -> bytes:
    """The line of a `MetricPoint`, byte for byte as `encode_line` has it, in less time."""
    if not isfinite(value):
        return encode_line(MetricPoint(key=key, value=Real(value), time=time, step=step))
    return _with_checksum(_POINTS.encode(Point(key, value, time, step)) + b"\n")


def read_lines(data: bytes, where: str) -> Iterator[Line | None]:
    """The lines of a `log.jsonl` in order, None for each that is torn or rotten.

    A whole line that was appended to a torn one is found. `where` names the log in messages.

    Raises:
        NewerError: a whole line is none that this lin knows.
    """
    for raw in BytesIO(data):
        body = b"{" + raw[_CHECKSUM:]
        if raw[:_CHECKSUM] != b'{"crc":"%08x",' % crc32(body):
            found = _find_whole(raw)
            if found is None:
                yield None
                continue
            body = found
        try:
            yield _LINES.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            what = f"{where} has a line that is whole, and that this lin does not know: {error}"
            raise NewerError(what, hint=UPGRADE) from error


def decode_lines(data: bytes, where: str) -> tuple[list[LogLine], int]:
    """The whole lines of a `log.jsonl` as records, in order, and how many were torn or rotten."""
    lines = list(read_lines(data, where))
    records = [_as_record(line, where) for line in lines if line is not None]
    return records, len(lines) - len(records)


def real_value(value: float | str, where: str) -> Real:
    """The value of a `Point`, every bit of it. Raises `StoreError` if it is none."""
    try:
        return from_json(value)
    except ValueError as error:
        raise StoreError(f"{where} is damaged: {error}") from error


def _as_record(line: Line, where: str) -> LogLine:
    if not isinstance(line, Point):
        return line
    return MetricPoint(key=line.key, value=real_value(line.value, where), time=line.time, step=line.step)


def _with_checksum(body: bytes) -> bytes:
    return b'{"crc":"%08x",%b' % (crc32(body), body[1:])


def _find_whole(raw: bytes) -> bytes | None:
    """What the checksum was taken of, of a whole line at the end of a damaged one."""
    for found in islice(_BEGINNING.finditer(raw, 1), _MOST_BEGINNINGS):
        line = raw[found.start() :]
        body = b"{" + line[_CHECKSUM:]
        if _with_checksum(body) == line:
            return body
    return None


def _key(run_id: str, name: str) -> str:
    if not is_id(run_id):
        raise UsageError(f"{run_id!r} is not a run's id: 32 hex digits, shown by the last {SHORT}")
    return f"runs/{day_of(run_id)}/{run_id}/{name}"
