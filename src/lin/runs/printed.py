"""What the program of a run printed, as it came: the whole of it, its last lines, and more as long as it runs."""

from collections.abc import Callable, Iterator

from lin.runs.host import capture_process, is_alive
from lin.store.growing import GrowingFile
from lin.store.runs import OUTPUT
from lin.store.store import Store

CHUNK = 1 << 18
"""So many bytes are read at once."""


def read_output(store: Store, run_id: str, *, tail: int | None = None) -> Iterator[bytes]:
    """The output so far in pieces; of the last `tail` lines only, if that is given.

    Raises:
        OutsideError: it cannot be read.
    """
    file = GrowingFile(store.blobs.backend, run_id, OUTPUT)
    yield from _read_on(file, 0 if tail is None else _find_tail(file, tail))


def follow_output(store: Store, run_id: str, wait: Callable[[], object], *, tail: int | None = None) -> Iterator[bytes]:
    """The same and then all that comes, until the run is sealed or abandoned. `wait` is called where nothing is new.

    Raises:
        OutsideError: it cannot be read. StoreError: the record of the run is damaged.
    """
    file = GrowingFile(store.blobs.backend, run_id, OUTPUT)
    process = store.runs.start(run_id).process
    at = 0 if tail is None else _find_tail(file, tail)
    while True:
        # looked at before the file is, so that what was printed last is not missed
        is_over = store.runs.is_sealed(run_id) or is_alive(process, capture_process()) is False
        before = at
        for piece in _read_on(file, at):
            at += len(piece)
            yield piece
        if is_over:
            return
        if at == before:
            wait()


def _read_on(file: GrowingFile, start: int) -> Iterator[bytes]:
    while piece := file.read(start, CHUNK):
        start += len(piece)
        yield piece


def _find_tail(file: GrowingFile, lines: int) -> int:
    """Where the last lines begin. What stands behind the last line break is a line too."""
    end = file.size()
    wanted = lines + (file.read(end - 1, 1) == b"\n") if end else 0
    at = end
    while at > 0 and wanted > 0:
        begin = max(0, at - CHUNK)
        piece = file.read(begin, at - begin)
        while wanted > 0 and (found := piece.rfind(b"\n")) >= 0:
            piece, wanted = piece[:found], wanted - 1
            if wanted == 0:
                return begin + found + 1
        at = begin
    return at
