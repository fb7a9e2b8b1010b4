"""Foreign bytes on their way out: as they are into a file or a pipe, and on a terminal without power over it.

On a terminal colours stay, and so do tabs and carriage returns, which only redraw their own line; every other control
character is shown as an escape, and so is what is no UTF-8.
"""

import codecs
import re
import sys
from collections.abc import Iterable

from lin.cli.printing import safe
from lin.cli.streams import drop
from lin.errors import OutsideError

_BEGUN = re.compile(r"\x1b(?:\[[0-9;]{0,40})?\Z")
_KEPT = re.compile(r"([\n\r\t]|\x1b\[[0-9;]{0,40}m)")
_PLAIN = "\x1b[0m"


class TerminalText:
    """Bytes that come in pieces as text for a terminal. Colours end where the text does."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""
        self._coloured = False

    def feed(self, data: bytes) -> str:
        """The text of the next piece; a character or colour that is not whole yet waits."""
        text = self._held + self._decoder.decode(data)
        begun = _BEGUN.search(text)
        self._held = text[begun.start() :] if begun else ""
        return self._shown(text[: begun.start()] if begun else text)

    def finish(self) -> str:
        """What was waiting, and the end of all colours."""
        rest = self._shown(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        return rest + (_PLAIN if self._coloured else "")

    def _shown(self, text: str) -> str:
        parts = _KEPT.split(text)  # what is kept stands at the odd places
        self._coloured = self._coloured or any(part.startswith("\x1b") for part in parts[1::2])
        return "".join(part if at % 2 else safe(part) for at, part in enumerate(parts))


def pour(pieces: Iterable[bytes]) -> int:
    """Write foreign bytes to stdout as they come; returns how many. A reader that leaves early is no error.

    Raises:
        OutsideError: stdout cannot be written.
    """
    poured = 0
    text = TerminalText() if sys.stdout.isatty() else None
    try:
        try:
            for piece in pieces:
                poured += len(piece)
                _write(_encode(text.feed(piece)) if text else piece)
        finally:
            if text:
                _write(_encode(text.finish()))
    except BrokenPipeError:
        drop(sys.stdout)
    return poured


def _encode(text: str) -> bytes:
    return text.encode(sys.stdout.encoding, "backslashreplace")


def _write(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop(sys.stdout)
        raise OutsideError(f"the output cannot be written to stdout: {error.strerror}") from error
