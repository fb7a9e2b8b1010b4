"""What differs in the settings of two recipes: parameters, seeds, and what the host gives; one part each.

A recipe's settings are leaves: a path and a value each. Values are the same if their JSON is: 1 is not 1.0.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from lin.proof.between.level import Split, changed, split_into
from lin.proof.recipe import SEED_PARAMS, THREAD_VARIABLES
from lin.recipes import Recipe
from lin.records import encode

Path = tuple[str, ...]
Setting = Literal["params", "seed", "host"]

_UNSET = msgspec.UNSET
_MAPS = ("params", "variables", "threads")
_PROGRAM = ("kind", "fit", "command", "folder", "params")
_LONGEST = 100
"""Values that together are longer are not in the name of a part."""


def differing_settings(low: Recipe, high: Recipe) -> dict[Setting, list[Path]]:
    """The leaves that differ, by axis, where any do. Threads count only of libraries that both had loaded."""
    found: dict[Setting, list[Path]] = {}
    before, after = _leaves(low, high), _leaves(high, low)
    for path in [*before, *(path for path in after if path not in before)]:
        if path[0] == "threads" and not (path in before and path in after):
            continue
        if encode(before.get(path, None)) != encode(after.get(path, None)) or (path in before) != (path in after):
            found.setdefault(_axis(path, low, high), []).append(path)
    return found


def take_settings(low: Recipe, high: Recipe, axis: Setting) -> Recipe:
    """`low` with that axis of `high`."""
    leaves = dict.fromkeys([*_leaves(low, high), *_leaves(high, low)])
    return _take(low, high, [path for path in leaves if _axis(path, low, high) == axis])


def split_settings(low: Recipe, high: Recipe, axis: Setting) -> Iterator[Split]:
    """The one level of a difference in settings. What says the same twice is one part."""
    paths = differing_settings(low, high).get(axis, [])
    parts: dict[str, list[Path]] = {}
    for path in sorted(paths, key=lambda path: path[0] == "command"):
        parts.setdefault(_label(_owner(path, paths, low, high), low, high), []).append(path)
    if parts:
        yield split_into(low, high, [*parts.items()], lambda chosen: _take(low, high, [p for ps in chosen for p in ps]))


def _take(low: Recipe, high: Recipe, paths: list[Path]) -> Recipe:
    values = _leaves(high, low)
    recipe = low
    for path in paths:
        recipe = _put(recipe, path, values.get(path, _UNSET))
    return recipe


# --- leaves -----------------------------------------------------------------------------------------------------------


def _leaves(recipe: Recipe, other: Recipe) -> dict[Path, Any]:
    """The settings of a recipe as far as they can be told apart from those of the other.

    What two fits, or two commands, were asked is compared one by one; a fit and a command only as a whole. The words of
    a command are leaves if both have as many.
    """
    leaves: dict[Path, Any] = {(field, name): v for field in _MAPS for name, v in getattr(recipe, field).items()}
    if (recipe.kind, recipe.fit is None) != (other.kind, other.fit is None):
        kept = {path: value for path, value in leaves.items() if path[0] != "params"}
        return kept | {("program",): [getattr(recipe, field) for field in _PROGRAM]}
    if recipe.fit is not None:
        own = {field: getattr(recipe.fit, field) for field in recipe.fit.__struct_fields__ if field != "params"}
        leaves |= {("fit", field): value for field, value in own.items()}
        leaves |= {("fit", "params", name): value for name, value in recipe.fit.params.items()}
    if len(recipe.command) == len(other.command):
        leaves |= {("command", str(place)): word for place, word in enumerate(recipe.command)}
    else:
        leaves["command",] = recipe.command
    return leaves | {("folder",): recipe.folder}


def _put(recipe: Recipe, path: Path, value: Any) -> Recipe:
    """The recipe with another value of a leaf."""
    replace = msgspec.structs.replace
    match path:
        case ("program",):
            return replace(recipe, **dict(zip(_PROGRAM, value, strict=True)))
        case ("fit", "params", name):
            return replace(recipe, fit=replace(recipe.fit, params=_with(recipe.fit.params, name, value)))  # type: ignore[union-attr,type-var]
        case ("fit", field):
            return replace(recipe, fit=replace(recipe.fit, **{field: value}))  # type: ignore[type-var]
        case ("command", place):
            return replace(
                recipe, command=[value if n == int(place) else word for n, word in enumerate(recipe.command)]
            )
        case (field, name):
            return replace(recipe, **{field: _with(getattr(recipe, field), name, value)})
    return replace(recipe, **{path[0]: value})


def _with(values: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    rest = {key: each for key, each in values.items() if key != name}
    return rest if value is _UNSET else rest | {name: value}


def _axis(path: Path, low: Recipe, high: Recipe) -> Setting:
    match path:
        case ("variables", name):
            return "seed" if name == "PYTHONHASHSEED" else "host"
        case ("threads", _):
            return "host"
        case ("fit", "seed"):
            return "seed"
        case ("params", name) | ("fit", "params", name):
            return "seed" if _is_seed(name) else "params"
        case ("command", place):
            return "seed" if _is_seed_word(int(place), low, high) else "params"
    return "params"


def _is_seed(name: str) -> bool:
    """Whether a parameter decides chance alone, of a step in a pipeline too."""
    return name.rpartition("__")[2] in SEED_PARAMS


def _is_seed_word(place: int, low: Recipe, high: Recipe) -> bool:
    """Whether a word is a seed in both: `seed=1`, what stands behind `--seed`, or what was filled in from one."""
    filler = _filled_from(place, low, high)
    if filler is not None:
        return _is_seed(filler)
    names = {_name_word(recipe.command, place).lstrip("-").replace("-", "_") for recipe in (low, high)}
    return names <= SEED_PARAMS


# --- parts ------------------------------------------------------------------------------------------------------------


def _owner(path: Path, paths: list[Path], low: Recipe, high: Recipe) -> Path:
    """The leaf whose part this one is of: a word that was filled in from a parameter goes with it.

    So does a value with its option, if that is another one too, and the variable that sets a library's threads with
    their number.
    """
    match path:
        case ("command", place):
            if filler := _filled_from(int(place), low, high):
                return "params", filler
            option = int(place) - 1
            follows = any(recipe.command[option].startswith("-") for recipe in (low, high))
            before = ("command", str(option))
            return _owner(before, paths, low, high) if follows and before in paths else path
        case ("variables", name):
            library = next((library for library, variable in THREAD_VARIABLES.items() if variable == name), "")
            return ("threads", library) if ("threads", library) in paths else path
    return path


def _filled_from(place: int, low: Recipe, high: Recipe) -> str | None:
    """The parameter whose change is that of the word, if it is one alone."""
    old, new = low.command[place], high.command[place]
    found = [
        name
        for name, value in low.params.items()
        if old != new and name in high.params and old.replace(str(value) or old, str(high.params[name])) == new
    ]
    return found[0] if len(found) == 1 else None


def _label(path: Path, low: Recipe, high: Recipe) -> str:
    old, new = (_show(_leaves(*each).get(path, _UNSET)) for each in ((low, high), (high, low)))
    match path:
        case ("program",) | ("command",):
            return f"the {path[0]}"
        case ("command", place):
            name = _name_word(low.command, int(place))
            old, new = (str(word).removeprefix(f"{name}=") for word in (old, new))
        case ("threads", library):
            name = f"threads of {library}"
        case ("fit", "params", param) | ("params", param):
            name = f"params.{param}"
        case _:
            name = path[-1]
    return changed(name, old, new) if len(f"{old}{new}") <= _LONGEST else name


def _name_word(command: list[str], place: int) -> str:
    """What a word of a command is about: the option that it belongs to, or its place."""
    name, equals, _ = command[place].partition("=")
    if equals:
        return name
    before = command[place - 1] if place else ""
    return before if before.startswith("-") and not name.startswith("--") else f"word {place} of the command"


def _show(value: Any) -> str | None:
    if value is _UNSET:
        return None
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else encode(value).decode().strip()
