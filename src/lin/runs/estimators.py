"""Estimators by import path, their parameters, and the grids that lists of values span.

A path names code that the user wants to run. It is imported, but called only if it is a class with `fit`, or a Python
function from outside the standard library that makes one: `os.system` is looked at, and refused.
"""

import importlib
import inspect
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from lin.errors import UsageError, nearest
from lin.records import Param

_INTEGER = re.compile(r"[-+]?\d{1,18}")
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WORDS: dict[str, Param] = {"true": True, "false": False, "null": None, "none": None}
_CLOSING = {"[": "]", "{": "}"}


# --- from a path to an estimator --------------------------------------------------------------------------------------


def build_estimator(paths: Sequence[str], params: Mapping[str, Param]) -> Any:
    """An unfitted estimator: the one that a path names, or a pipeline of several, with `params` set.

    The parameters of a pipeline's step are `step__name`; one without a step goes to the last step if no other has it.

    Raises:
        UsageError: a path or parameter does not exist (the nearest is named), or is not of an estimator.
    """
    if not paths:
        raise UsageError("there is no estimator", hint='estimator = "sklearn.linear_model.Ridge"')
    estimator = _make(paths[0], params) if len(paths) == 1 else _pipeline(paths, params)
    if not hasattr(type(estimator), "predict"):
        raise UsageError(
            f"{paths[-1]} does not predict: it has no method 'predict'",
            hint="a transformer goes in front of an estimator, as a list of both",
        )
    return estimator


def _make(path: str, params: Mapping[str, Param]) -> Any:
    factory = _find(path)
    accepted = _signature(factory)
    first = {name: value for name, value in params.items() if name in accepted}
    try:
        estimator = factory(**first)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path} cannot be made with {first}: {error}") from error
    if not callable(getattr(estimator, "fit", None)):
        raise UsageError(f"{path} makes a {type(estimator).__name__}, which has no method 'fit'")
    rest = {name: value for name, value in params.items() if name not in accepted}
    _set_params(estimator, rest, path, sorted(accepted | _settable(estimator)))
    return estimator


def _pipeline(paths: Sequence[str], params: Mapping[str, Param]) -> Any:
    from sklearn.pipeline import Pipeline, make_pipeline

    steps = [_make(path, {}) for path in paths]
    for path, step in zip(paths[:-1], steps, strict=False):
        if not hasattr(type(step), "transform"):
            raise UsageError(f"{path} cannot stand before another step: it has no method 'transform'")
    pipeline = make_pipeline(*steps)
    own = _signature(Pipeline) - {"steps"}
    known = sorted(own | {name for name in _settable(pipeline) if "__" in name})
    resolved: dict[str, Param] = {}
    for name, value in params.items():
        full = name if name in known else _param_of_last(pipeline, name)
        resolved[full or name] = value
    _set_params(pipeline, resolved, " + ".join(paths), known)
    return pipeline


def _param_of_last(pipeline: Any, name: str) -> str | None:
    """Where an unprefixed parameter goes: to the last step, if it alone has one of that name."""
    holders = [step for step, part in pipeline.steps if name in _settable(part)]
    if holders == [pipeline.steps[-1][0]]:
        return f"{holders[0]}__{name}"
    if holders:
        raise UsageError(
            f"parameter '{name}' could be of {' or '.join(holders)}",
            hint="say which: " + " or ".join(f"{holder}__{name}" for holder in holders),
        )
    return None


def _set_params(estimator: Any, params: Mapping[str, Param], path: str, known: list[str]) -> None:
    for name in params:
        if name not in known:
            raise UsageError(
                f"{path} has no parameter '{name}'",
                hint=nearest(name, known, instead=f"it has: {', '.join(known[:30]) or 'none'}"),
            )
    if params:
        estimator.set_params(**params)


def _settable(estimator: Any) -> set[str]:
    return set(estimator.get_params(deep=True)) if hasattr(estimator, "get_params") else set()


def _signature(factory: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # a compiled class may hide its own
        return set()
    return {p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}}


def _find(path: str) -> Callable[..., Any]:
    """The class or factory that a path names."""
    module_path, _, name = path.rpartition(".")
    if not all(part.isidentifier() for part in path.split(".")):
        raise UsageError(f"{path!r} is not an import path", hint="for example sklearn.linear_model.Ridge")
    if not module_path:
        raise UsageError(f"'{name}' does not say which module it is from", hint=_full_path(name))
    module = _import(module_path, path)
    try:
        found = getattr(module, name)
    except AttributeError:
        known = [f"{module_path}.{other}" for other, value in vars(module).items() if _is_factory(value)]
        raise UsageError(
            f"module '{module_path}' has no '{name}'", hint=nearest(path, known, instead=_full_path(name))
        ) from None
    except ImportError as error:  # scikit-learn's word for experimental estimators
        raise UsageError(f"{path} cannot be imported: {_first_line(error)}") from error
    if not _is_factory(found):
        raise UsageError(
            f"{path} is not an estimator: it is no class with a method 'fit', nor a function that makes one",
            hint="for example sklearn.linear_model.Ridge",
        )
    return found  # type: ignore[no-any-return]


def _import(module: str, path: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if module == missing or module.startswith(f"{missing}."):
            raise UsageError(
                f"there is no module '{missing}', so no {path}", hint=_full_path(path.rpartition(".")[2])
            ) from error
        raise UsageError(f"module '{module}' needs '{missing}', which is not installed") from error
    except (ImportError, SyntaxError) as error:
        raise UsageError(f"module '{module}' cannot be imported: {_first_line(error)}") from error


def _is_factory(found: Any) -> bool:
    if isinstance(found, type):
        return callable(getattr(found, "fit", None))
    return inspect.isfunction(found) and found.__module__.partition(".")[0] not in sys.stdlib_module_names


def _full_path(name: str) -> str:
    """A hint: the scikit-learn estimator of that name or of one like it."""
    from sklearn.utils.discovery import all_estimators

    paths = {found: _public_path(kind) for found, kind in all_estimators()}
    if name in paths:
        return f"did you mean '{paths[name]}'?"
    close = nearest(name, list(paths), instead="")
    found = close.removeprefix("did you mean '").removesuffix("'?")
    return f"did you mean '{paths[found]}'?" if found else "for example sklearn.linear_model.Ridge"


def _public_path(kind: type) -> str:
    public = itertools.takewhile(lambda part: not part.startswith("_"), kind.__module__.split("."))
    return ".".join([*public, kind.__name__])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# --- seeds ------------------------------------------------------------------------------------------------------------


def with_seed(estimator: Any, seed: int) -> list[str]:
    """Give every `random_state` that is None the seed, so that a fit repeats. Returns the parameters that it set."""
    if not hasattr(estimator, "get_params"):
        return []
    unset = sorted(
        name
        for name, value in estimator.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    )
    if unset:
        estimator.set_params(**dict.fromkeys(unset, seed))
    return unset


# --- values and grids -------------------------------------------------------------------------------------------------


def expand_grid(params: Mapping[str, Any]) -> list[dict[str, Param]]:
    """Every combination of the values: a list is an axis, the first one the slowest; what is no list stays as it is.

    A list as the value itself stands in a list: `[[100, 50]]`. Raises `UsageError` for an axis without values.
    """
    for name, values in params.items():
        if isinstance(values, list) and not values:
            raise UsageError(f"parameter '{name}' has an empty list of values", hint=f"{name} = [1.0]")
    axes = [values if isinstance(values, list) else [values] for values in params.values()]
    return [dict(zip(params, point, strict=True)) for point in itertools.product(*axes)]


def parse_param(text: str) -> tuple[str, list[Param]]:
    """`NAME=VALUE[,VALUE…]` as the name and its values.

    A value is a number, `true`, `false`, `null` (or `none`), JSON in brackets, a string in quotes, or else text.

    Raises:
        UsageError: there is no name or value, or a value is broken JSON or too large a number.
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise UsageError(f"'{text}' is not a parameter", hint="write NAME=VALUE, or NAME=VALUE,VALUE for a grid")
    return name, [_parse_value(value.strip(), text) for value in _split_values(rest)]


def _split_values(text: str) -> Iterator[str]:
    """Split at commas that stand in no quotes and no brackets."""
    start, quote = 0, ""
    open_brackets: list[str] = []
    escaped = False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\" and quote == '"'
            quote = "" if char == quote else quote
        elif char in "\"'" and (open_brackets or not text[start:at].strip()):
            quote = char  # an apostrophe inside a word is a letter
        elif char in _CLOSING:
            open_brackets.append(_CLOSING[char])
        elif open_brackets and char == open_brackets[-1]:
            open_brackets.pop()
        elif char == "," and not open_brackets:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _parse_value(value: str, text: str) -> Param:
    if not value:
        raise UsageError(f"'{text}' has an empty value", hint='write "" for an empty string')
    if value[0] == value[-1] == "'" and len(value) > 1:
        return value[1:-1]
    if value[0] in '"[{':
        return _parse_json(value, text)
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if _INTEGER.fullmatch(value):
        return int(value)
    if not _DECIMAL.fullmatch(value):
        return value
    number = float(value)
    if math.isinf(number) or value.lstrip("+-").isdigit():
        raise UsageError(f"'{text}' has a number out of range: {value}")
    return number


def _parse_json(value: str, text: str) -> Param:
    try:
        return msgspec.json.decode(value)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UsageError(f"'{text}' has a value that is not JSON: {error}", hint='quote text: "a,b"') from error
