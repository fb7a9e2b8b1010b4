"""The files of runs: `runs/<day>/<id>/` with `start.json`, `log.jsonl`, `output.log` and, written last, `run.json`.

A run is sealed when its `run.json` is there. Each line of `log.jsonl` carries a checksum, so that a torn or rotten
line is noticed and costs only itself.
"""

import zlib
from collections.abc import Iterator

from lin.errors import NotFoundError, UsageError
from lin.ids import SHORT, day_of, is_id, short
from lin.records import WORK, LogLine, Sealed, Start, decode, digest, encode
from lin.store.backend import Appender, Backend

LOG = "log.jsonl"
OUTPUT = "output.log"

_CHECKSUM = 18
"""A line starts with `{"crc":"89abcdef",`: 18 bytes."""


class Runs:
    """The runs of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def begin(self, start: Start) -> str:
        """Write `start.json`; returns its sha256."""
        data = encode(start)
        self._backend.put_if_absent(_key(start.id, "start.json"), data)
        return digest(data)

    def seal(self, sealed: Sealed) -> None:
        """Write `run.json`. Raises `ConflictError` if the run is sealed already."""
        self._backend.put_if_absent(_key(sealed.id, "run.json"), encode(sealed))

    def start(self, run_id: str) -> Start:
        """Read `start.json`."""
        return self.start_and_digest(run_id)[0]

    def start_and_digest(self, run_id: str) -> tuple[Start, str]:
        """Read `start.json`, and the sha256 of its bytes."""
        key = _key(run_id, "start.json")
        data = self._backend.read(key)
        return decode(data, Start, where=key), digest(data)

    def sealed(self, run_id: str) -> Sealed | None:
        """Read `run.json`, or None if the run is not sealed."""
        key = _key(run_id, "run.json")
        if self._backend.size(key) is None:
            return None
        return decode(self._backend.read(key), Sealed, where=key)

    def appender(self, run_id: str, name: str) -> Appender:
        """Open the run's `log.jsonl` or `output.log` for appending."""
        return self._backend.appender(_key(run_id, name))

    def file(self, run_id: str, name: str) -> bytes | None:
        """The bytes of the run's `log.jsonl` or `output.log`, or None if there is none."""
        key = _key(run_id, name)
        return None if self._backend.size(key) is None else self._backend.read(key)

    def ids(self) -> Iterator[str]:
        """Every run that has begun, newest first."""
        for day in reversed(self._backend.list("runs")):
            for run_id in reversed(self._backend.list(f"runs/{day}")):
                if is_id(run_id) and self._backend.size(_key(run_id, "start.json")) is not None:
                    yield run_id

    def find(self, reference: str) -> str:
        """The id of the run meant by `last`, by an id, a unique prefix or suffix of one, or by a name.

        A name that several runs share means the newest of them; `last` passes over imports and the like.

        Raises:
            NotFoundError: no such run. UsageError: several ids fit.
        """
        ids = self.ids()
        if reference == "last":
            newest = next((i for i in ids if self.start(i).kind in WORK), None)
            if newest is None:
                raise NotFoundError("there are no runs yet", hint="lin run EXPERIMENT")
            return newest
        everything = list(ids)
        fits = [i for i in everything if i == reference or (_may_be_id(reference) and _fits(i, reference))]
        if len(fits) > 1:
            shown = ", ".join(short(i) for i in fits[:5])
            raise UsageError(f"'{reference}' fits {len(fits)} runs: {shown}", hint="give more digits")
        named = fits or [i for i in everything if self.start(i).name == reference]
        if not named:
            raise NotFoundError(f"there is no run '{reference}'", hint="lin runs")
        return named[0]


def encode_line(line: LogLine) -> bytes:
    """One line of `log.jsonl`: the record as JSON, with the CRC-32 of that JSON as its first member."""
    body = encode(line)
    return b'{"crc":"%08x",' % zlib.crc32(body) + body[1:]


def decode_lines(data: bytes, where: str) -> tuple[list[LogLine], int]:
    """The whole lines of a `log.jsonl` in order, and how many were torn or rotten."""
    lines: list[LogLine] = []
    damaged = 0
    for raw in data.splitlines(keepends=True):
        body = b"{" + raw[_CHECKSUM:]
        if raw[:_CHECKSUM] == b'{"crc":"%08x",' % zlib.crc32(body):
            lines.append(decode(body, LogLine, where=where))  # type: ignore[arg-type]
        else:
            damaged += 1
    return lines, damaged


def _fits(run_id: str, part: str) -> bool:
    return run_id.startswith(part) or run_id.endswith(part)


def _may_be_id(text: str) -> bool:
    return 4 <= len(text) <= 32 and all(c in "0123456789abcdef" for c in text)  # noqa: PLR2004


def _key(run_id: str, name: str) -> str:
    if not is_id(run_id):
        raise UsageError(f"{run_id!r} is not a run's id: 32 hex digits, shown by the last {SHORT}")
    return f"runs/{day_of(run_id)}/{run_id}/{name}"
