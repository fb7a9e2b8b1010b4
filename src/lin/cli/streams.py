"""The standard streams of the process: each is there, and what is only told on stderr is no reason to fail.

A process that was started without one of them would get its number for the next file that it opens: that of the store.
Each has a buffer: without one (`python -u`) Python drops what the system did not take of a write, and tells nobody.
"""

import io
import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Open those of the descriptors 0, 1 and 2 that are not. What is written to such a stdout is refused, as it was."""
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # it gets the least number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    sys.stdout = _buffered(sys.stdout, by_line=sys.stdout.isatty())
    sys.stderr = _buffered(sys.stderr, by_line=True)


def _buffered(stream: TextIO, *, by_line: bool) -> TextIO:
    """The stream, as Python makes it where nobody asked for none of its buffers."""
    if not isinstance(stream.buffer, io.RawIOBase):
        return stream
    whole = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115  a descriptor, open as long as the process
    return io.TextIOWrapper(whole, stream.encoding, stream.errors, line_buffering=by_line)


def settle() -> None:
    """Flush stdout while an error can still be met; what it does not take was told, or is nobody's."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)


def tell(text: str) -> None:
    """Write to stderr. Where that is impossible, it is left: nobody can be told."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Let what is in the buffer of `stream`, and what comes, go nowhere: the flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
