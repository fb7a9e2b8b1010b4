"""The YAML of model folders. What strangers wrote is taken event by event, under caps: no object of theirs is made.

Tags, anchors and aliases are refused, and keys that stand twice, so that reading makes nothing but maps, lists, texts,
numbers, booleans and None, in time and depth that the size bounds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lin.errors import OutsideError

LARGEST = 1 << 20
"""The most bytes that are read."""
DEEPEST = 20
"""The most levels of maps and lists. `MLmodel` has four."""
_LONGEST_NUMBER = 100
"""The most characters of a number: `59:59:…` takes quadratic time, and Python does not print what `0xfff…` is."""


def write_yaml(value: Mapping[str, Any]) -> str:
    """A map as YAML in blocks, in its order."""
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, width=120))


def read_yaml(data: bytes, name: str) -> Any:
    """What a YAML or JSON file holds; `name` is what messages call it. Times stay texts.

    Raises:
        OutsideError: it is larger or deeper than the caps, no YAML, or has what is not read here; the line is named.
    """
    import yaml

    if len(data) > LARGEST:
        raise OutsideError(f"{name} has {len(data)} bytes; lin reads {LARGEST}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise OutsideError(f"{name} is no text in UTF-8: {error}") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)  # of C where it was built, else of Python
    try:
        return _Reader(loader, name).document()
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise OutsideError(f"{name}{where} is no YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise OutsideError(f"{name} is no YAML: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()


class _Reader:
    """Makes values of a loader's events."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader = loader
        self._name = name

    def document(self) -> Any:
        """The one document, None if there is none."""
        import yaml

        found = [self._value(event, 0) for event in self._events() if isinstance(event, yaml.NodeEvent)]
        if len(found) > 1:
            raise OutsideError(f"{self._name} holds {len(found)} documents, and one is read")
        return found[0] if found else None

    def _events(self) -> Iterator[Any]:
        while self._loader.check_event():
            yield self._loader.get_event()

    def _value(self, event: Any, depth: int) -> Any:
        import yaml

        unwanted = "an alias" if isinstance(event, yaml.AliasEvent) else "an anchor" if event.anchor else None
        if unwanted or event.tag:
            raise self._refused(event, f"it has {unwanted or f'the tag {event.tag}'}, which is not read here")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth == DEEPEST:
            raise self._refused(event, f"it has more than {DEEPEST} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return [self._value(each, depth + 1) for each in self._until(yaml.SequenceEndEvent)]
        return self._map(depth)

    def _map(self, depth: int) -> dict[str, Any]:
        import yaml

        found: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refused(event, "it has a key that is no text")
            if event.value in found:
                raise self._refused(event, f"it has the key '{event.value}' twice")
            found[event.value] = self._value(self._loader.get_event(), depth + 1)
        return found

    def _until(self, end: type) -> Iterator[Any]:
        """The events until one of that kind; whoever takes one takes all that is inside of it."""
        while not isinstance(event := self._loader.get_event(), end):
            yield event

    def _scalar(self, event: Any) -> Any:
        import yaml

        tag = self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag.rpartition(":")[2] not in {"null", "bool", "int", "float"}:
            return event.value
        if len(event.value) > _LONGEST_NUMBER:
            raise self._refused(event, f"it has a number of {len(event.value)} characters")
        return self._loader.construct_object(yaml.ScalarNode(tag, event.value))

    def _refused(self, event: Any, why: str) -> OutsideError:
        return OutsideError(f"{self._name}, line {event.start_mark.line + 1}: {why}")
