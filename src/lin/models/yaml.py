"""The YAML of model folders: blocks of keys and lists with plain or quoted texts, read and written without a library.

What is read is what PyYAML's `safe_dump` writes, or JSON; what is written is block YAML whose texts are JSON strings.
There are no tags, anchors, aliases, merge keys, block texts or comments behind values: each is refused, so that
reading makes nothing but maps, lists, texts, numbers, booleans and None, in time and depth that the size bounds.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from lin.errors import OutsideError

LARGEST = 1 << 20
"""The most bytes that are read."""
DEEPEST = 20
"""The most levels of blocks. `MLmodel` has four."""

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"))
_KEY = re.compile(r"""(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#&*!|>%@`\[\]{},?:-][^:#"']*):(?:\s+|$)""")
_REFUSED = {
    "!": "a tag",
    "&": "an anchor",
    "*": "an alias",
    "|": "a block text",
    ">": "a folded block text",
    "%": "a directive",
    "?": "a complex key",
    "#": "a comment behind a key",
}
_REFUSED |= dict.fromkeys("@`,]}", "a character that nothing begins with")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = dict(zip('0abtnvfre "/\\N_LP', '\0\a\b\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029', strict=True))
_ESCAPED_CHARACTER = re.compile(r"\\.", re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


# --- writing ----------------------------------------------------------------------------------------------------------


def write_yaml(value: Mapping[str, Any]) -> str:
    """A map as YAML: maps and lists in blocks, everything else as in JSON."""
    return "".join(f"{line}\n" for line in _write_block(value))


def _write_block(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _write_item(f"{_write_key(key)}:", item)
    else:
        for item in value:
            yield from _write_item("-", item)


def _write_item(head: str, item: Any) -> Iterator[str]:
    if isinstance(item, Mapping | list) and item:
        yield head
        yield from (f"  {line}" for line in _write_block(item))
    else:
        yield f"{head} {_write_scalar(item)}"


def _write_key(key: str) -> str:
    is_plain = _PLAIN_KEY.fullmatch(key) and isinstance(_plain(key), str)
    return key if is_plain else _write_scalar(key)


def _write_scalar(value: Any) -> str:
    """JSON is YAML, but for characters that cannot be printed, and for exponents: they want a point and a sign."""
    text = msgspec.json.encode(value).decode()
    if isinstance(value, float) and "e" in text:
        digits, _, exponent = text.partition("e")
        return f"{digits if '.' in digits else f'{digits}.0'}e{int(exponent):+d}"
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


# --- reading ----------------------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    """A line that says something; so many empty ones are above it."""

    number: int
    indent: int
    text: str
    gap: int = 0


def read_yaml(data: bytes, name: str) -> Any:
    """What a YAML or JSON file holds; `name` is what messages call it.

    Raises:
        OutsideError: it is larger or deeper than the caps, no text, or has what is not read here; the line is named.
    """
    if len(data) > LARGEST:
        raise OutsideError(f"{name} has {len(data)} bytes; lin reads {LARGEST}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise OutsideError(f"{name} is no text in UTF-8: {error}") from error
    if text.lstrip()[:1] in {"{", "["}:
        return _read_json(text, name)
    return _Reader(text, name).document()


def _read_json(text: str, name: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise OutsideError(f"{name} is no JSON that lin reads: {error}") from error


class _Reader:
    """Reads the lines of a file from the first to the last."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._lines = [*self._split(text)]
        self._at = 0

    def document(self) -> Any:
        """The whole file."""
        if not self._lines:
            return None
        value = self._block(self._lines[0].indent, 0)
        if self._at < len(self._lines):
            raise self._refuse("its indentation fits no block", self._lines[self._at])
        return value

    def _split(self, text: str) -> Iterator[_Line]:
        """The lines that say something; their number counts from 1."""
        gap = 0
        for number, line in enumerate(text.split("\n"), 1):
            content = line.rstrip("\r ").lstrip(" ")
            found = _Line(number, len(line) - len(line.lstrip(" ")), content, gap)
            if not content:
                gap += 1
            elif content.startswith("#") or content in {"---", "..."} or "\t" in content:
                if number == 1 and not content.startswith("...") and "\t" not in content:
                    continue
                raise self._refuse("it has a tab, a comment, or several documents", found)
            else:
                gap = 0
                yield found

    def _block(self, indent: int, depth: int) -> Any:
        """The map, list or text that begins at this line, all of whose lines are indented so far."""
        line = self._lines[self._at]
        if depth > DEEPEST:
            raise self._refuse(f"it is nested deeper than {DEEPEST} levels", line)
        if _is_item(line.text):
            return self._list(indent, depth)
        if _KEY.match(line.text):
            return self._map(indent, depth)
        self._at += 1
        return self._scalar(line, line.text, indent - 1)

    def _map(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (line := self._next(indent)) is not None and not _is_item(line.text):
            split = _KEY.match(line.text)
            if split is None:
                raise self._refuse("it is no key with a value", line)
            key = self._key(split["key"], line)
            if key in found:
                raise self._refuse(f"it has the key {key!r} twice", line)
            found[key] = self._value(line, line.text[split.end() :], depth)
        return found

    def _list(self, indent: int, depth: int) -> list[Any]:
        found: list[Any] = []
        while (line := self._next(indent)) is not None and _is_item(line.text):
            rest = line.text[1:].lstrip(" ")
            if rest and (_is_item(rest) or _KEY.match(rest)):
                # a block that begins behind the dash: its lines are as far in as its first word
                inner = indent + len(line.text) - len(rest)
                self._lines[self._at] = _Line(line.number, inner, rest)
                found.append(self._block(inner, depth + 1))
            else:
                found.append(self._value(line, rest, depth))
        return found

    def _next(self, indent: int) -> _Line | None:
        """The line to read, if it is of the block that is indented so far."""
        if self._at == len(self._lines) or self._lines[self._at].indent < indent:
            return None
        line = self._lines[self._at]
        if line.indent > indent:
            raise self._refuse("its indentation fits no block", line)
        return line

    def _value(self, line: _Line, rest: str, depth: int) -> Any:
        """What stands behind a key or dash: on its line, or in a block below it."""
        self._at += 1
        if rest:
            return self._scalar(line, rest, line.indent)
        below = self._lines[self._at] if self._at < len(self._lines) else None
        if below is None or below.indent < line.indent:
            return None
        if below.indent == line.indent and (_is_item(line.text) or not _is_item(below.text)):
            return None
        return self._block(below.indent, depth + 1)

    # --- texts --------------------------------------------------------------------------------------------------------

    def _key(self, text: str, line: _Line) -> str:
        if text[0] in "\"'":
            return self._unquote(text, line)
        return text.rstrip()

    def _scalar(self, line: _Line, text: str, indent: int) -> Any:
        """A text that begins here, and goes on in the lines that are further in."""
        if text[0] in _REFUSED:
            raise self._refuse(f"it has {_REFUSED[text[0]]}", line)
        if text[0] in "[{":
            return _read_json(text, f"{self._name}, line {line.number}")
        parts = [_Line(line.number, line.indent, text)]
        while self._at < len(self._lines) and self._lines[self._at].indent > indent and not _is_closed(parts):
            parts.append(self._lines[self._at])
            self._at += 1
        if text[0] in "\"'":
            return self._unquote(_fold(parts, escapes=text[0] == '"'), line)
        whole = _fold(parts, escapes=False)
        if ": " in whole or " #" in whole or whole.endswith(":"):
            raise self._refuse("a text in it wants quotes", line)
        return _plain(whole)

    def _unquote(self, text: str, line: _Line) -> str:
        bare = _without_escapes(text[1:], text[0])
        if not bare.endswith(text[0]):
            raise self._refuse("a text in it has no end", line)
        if text[0] in bare[:-1]:
            raise self._refuse("something stands behind a text", line)
        body = text[1:-1]
        if text[0] == "'":
            return body.replace("''", "'")
        try:
            return _ESCAPE.sub(_unescape, body).encode("utf-16", "surrogatepass").decode("utf-16")
        except (KeyError, ValueError, OverflowError) as error:
            raise self._refuse(f"a text in it has an escape that is none: {error}", line) from error

    def _refuse(self, why: str, line: _Line) -> OutsideError:
        return OutsideError(f"{self._name}, line {line.number}: {why}", hint="lin reads what MLflow and lin write")


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _is_closed(parts: list[_Line]) -> bool:
    """Whether a quoted text has its end."""
    quote = parts[0].text[0]
    if quote not in "\"'":
        return False
    ending = parts[-1].text[1 if len(parts) == 1 else 0 :]
    return _without_escapes(ending, quote).endswith(quote)


def _without_escapes(text: str, quote: str) -> str:
    """A text in which what is left of its quotes ends it."""
    return text.replace("''", "") if quote == "'" else _ESCAPED_CHARACTER.sub("", text)


def _fold(parts: list[_Line], *, escapes: bool) -> str:
    """The lines of one text: a break is a space, or as many breaks as lines are empty, or, escaped, nothing."""
    pieces = [parts[0].text]
    for part in parts[1:]:
        last = pieces[-1]
        if escapes and len(last) - len(last.rstrip("\\")) & 1:
            pieces[-1] = last[:-1]
        else:
            pieces.append("\n" * part.gap or " ")
        pieces.append(part.text)
    return "".join(pieces)


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _ESCAPED[match[4]]


def _plain(text: str) -> Any:
    """What a text without quotes means."""
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
