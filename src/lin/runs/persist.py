"""Model files: skops archives with canonical bytes, whose reading runs no code that the file brings.

A file is taken apart under caps, put into canonical form, and checked: its arrays hold no pickles, its types are in
the list that ships here, each in its one place, or among those that the caller trusts; only then does skops make
objects, and `native` looks at them before anybody else does. The list of trusted types is here or with the caller,
never in the file. A pickle runs what it likes: it is made only where that was asked for, and loaded only if the caller
trusts its very bytes. What a file is called says which of the two it must be.
"""

import pickle
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec

from lin.errors import OutsideError, UsageError
from lin.records import digest
from lin.runs.archive import Archive, Node, canonical, damaged, nodes, read_archive, type_of, write_archive
from lin.runs.native import check_native
from lin.runs.trust import NOBODY, Trust
from lin.runs.trusted import TRUSTED

MODEL = "model/model.skops"
"""The artifact of a fit that holds its model."""
PICKLED_MODEL = "model/model.pkl"
"""A model that runs code when it is loaded: kept only where that was asked for."""

_PICKLED = ".pkl"
_MOST_NAMED = 5
_CRAFTED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What skops, numpy and scikit-learn raise on a state that their own dump could not have written."""

_PROTOCOLS = frozenset((b"\x02", b"\x03", b"\x04", b"\x05"))

_KEY_TYPES = frozenset(
    (
        *("builtins.str", "builtins.int", "builtins.float", "numpy.str_"),
        *(f"numpy.{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(f"numpy.float{bits}" for bits in (16, 32, 64)),
    )
)
"""The types of keys that come back as they were: a bool does not, for bool("false") is true."""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a model file says of itself, read without importing what made it."""

    type: str
    skops: str | None
    sklearn: str | None
    types: list[str]
    """Every type, function and class that it names, sorted."""


def dump_model(model: Any) -> bytes:
    """The model as a skops file in canonical form: the same fitted model gives the same bytes in every process.

    Dump it before it predicts: some models count their queries. A search (`GridSearchCV` and its kin) keeps how long
    its fits took, so two fits of it never have the same bytes.

    Raises:
        OutsideError: skops cannot store it, or what it would store could not be loaded again.
    """
    import skops.io

    name = type(model).__name__
    try:
        archive = canonical(read_archive(skops.io.dumps(model)))
    except (AttributeError, TypeError, ValueError, NotImplementedError, RecursionError, pickle.PicklingError) as error:
        raise OutsideError(
            f"skops cannot store this {name}: {_first_line(error)}",
            hint="--pickle, or pickle = true of the experiment, keeps it as a file that runs code when it is loaded",
        ) from error
    for node in nodes(archive.schema):
        _require_loadable(node, name)
    return write_archive(archive)


def pickle_model(model: Any) -> bytes:
    """The model as a pickle: whoever loads it runs whatever whoever made it liked.

    Raises:
        OutsideError: it cannot be pickled.
    """
    try:
        return pickle.dumps(model, protocol=5)
    except (pickle.PicklingError, *_CRAFTED) as error:
        raise OutsideError(f"this {type(model).__name__} cannot be pickled: {_first_line(error)}") from error


def load_model(data: bytes, *, path: str = MODEL, trust: Trust = NOBODY) -> Any:
    """Make the model of a file; `path` is the artifact that it is, and tells whether it is a pickle.

    Of a skops file no code runs but that of the types in `trust`; a crafted file can still be a model that predicts
    nonsense, slowly. A pickle is loaded only if `trust` has its sha256, and then all of its code runs.

    Raises:
        UsageError: it has types that nobody trusts, or is a pickle that nobody trusts; what to type is named.
        OutsideError: it is not what its path says, is damaged or crafted, or does not go with the installed libraries.
    """
    if path.endswith(_PICKLED):
        return _load_pickle(data, trust)
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning
    from skops.io.exceptions import UntrustedTypesFoundException

    archive = canonical(read_archive(data))
    named = {type_of(node) for node in nodes(archive.schema)}
    trusted = frozenset(named) if digest(data) in trust.files else trust.types
    _require_trusted(archive, trusted)
    allowed = sorted(named & (TRUSTED.keys() | trusted))
    safe = write_archive(archive)
    try:
        with warnings.catch_warnings():
            # the versions are in the run's record, where they are compared
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = skops.io.loads(safe, trusted=allowed)  # audits every type before it makes anything
        check_native(model)
    except UntrustedTypesFoundException as error:
        raise _untrusted(safe, allowed, digest(data)) from error
    except _CRAFTED as error:
        raise _cannot_load(archive, error) from error
    return model


def _load_pickle(data: bytes, trust: Trust) -> Any:
    if not is_pickle(data):
        raise damaged(f"it is called a pickle and is none; it starts with {data[:8]!r}")
    if digest(data) not in trust.files:
        raise UsageError(
            "the model is a pickle, which runs code when it is loaded, and nobody trusts this file",
            hint=f"if you know who made it: --trust sha256:{digest(data)}",
        )
    try:
        return pickle.loads(data)  # noqa: S301  whoever asks trusts these very bytes
    except (pickle.UnpicklingError, *_CRAFTED) as error:
        raise OutsideError(
            f"the pickled model does not load here: {type(error).__name__}: {_first_line(error)}",
            hint="it takes the modules and versions that it was made with",
        ) from error


def is_pickle(data: bytes) -> bool:
    """Whether these may be the bytes of a pickle of protocol 2 or later."""
    return data[:1] == b"\x80" and data[1:2] in _PROTOCOLS and data[-1:] == b"."


def inspect_model(data: bytes) -> ModelInfo:
    """What a model file says of itself. Imports neither skops nor scikit-learn. Raises `OutsideError`."""
    return _describe(canonical(read_archive(data)))


def _describe(archive: Archive) -> ModelInfo:
    version = archive.schema.get("_skops_version")
    return ModelInfo(
        type=type_of(archive.schema),
        skops=version if isinstance(version, str) else None,
        sklearn=_version_of_sklearn(archive),
        types=sorted({type_of(node) for node in nodes(archive.schema) if node["__loader__"] != "JsonNode"}),
    )


def _version_of_sklearn(archive: Archive) -> str | None:
    """Every estimator keeps the version that made it as an attribute."""
    for node in nodes(archive.schema):
        if node["__loader__"] == "DictNode" and "_sklearn_version" in node["content"]:
            content = node["content"]["_sklearn_version"].get("content")
            return content.strip('"') if isinstance(content, str) else None
    return None


def _require_trusted(archive: Archive, trusted: frozenset[str]) -> None:
    """Each type of ours stands only where skops puts it. The rest is trusted by skops itself, or refused by it."""
    for node in nodes(archive.schema):
        name, loader = type_of(node), node["__loader__"]
        if name not in trusted and loader not in TRUSTED.get(name, (loader,)):
            raise damaged(f"it makes {name} as a {loader}, which skops does not write")
        if loader == "DictNode":
            wrong = [kind for kind in _kinds_of_keys(node) if kind not in _KEY_TYPES]
            if wrong:
                raise damaged(f"a dict in it has keys of type {wrong[0]}")


def untrusted_types(data: bytes) -> list[str]:
    """The types of a skops file that skops itself does not trust, sorted: whoever loads it has to name them.

    Imports none of them. Raises `OutsideError` where it is no such file.
    """
    import skops.io

    archive = canonical(read_archive(data))
    try:
        return sorted(set(skops.io.get_untrusted_types(data=write_archive(archive))))
    except _CRAFTED as error:
        raise _cannot_load(archive, error) from error


def _untrusted(canonical_data: bytes, allowed: list[str], sha256: str) -> UsageError:
    made, here = inspect_model(canonical_data).sklearn, _installed_sklearn()
    refused = [name for name in untrusted_types(canonical_data) if name not in allowed]
    shown = ", ".join(refused[:_MOST_NAMED])
    more = f" and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
    words = " ".join(f"--trust {name}" for name in refused) if not more else f"--trust sha256:{sha256}"
    if made not in {None, here} and any(name.startswith("sklearn.") for name in refused):
        return UsageError(
            f"the model file needs what lin does not trust: {shown}{more}; "
            f"scikit-learn {made} made it, and here is {here}",
            hint=f"install it: pip install scikit-learn=={made}; if you know them all and the file is yours: {words}",
        )
    return UsageError(
        f"the model file needs what lin does not trust: {shown}{more}",
        hint=f"loading it may run their code; if you know them all and the file is yours: {words}",
    )


def _kinds_of_keys(node: Node) -> Iterator[str]:
    for kind in node["key_types"]["content"]:
        yield type_of(kind) if kind["__loader__"] == "TypeNode" else kind["__loader__"]


def _require_loadable(node: Node, model: str) -> None:
    """Refuse now what skops stores by name and could not find by that name later."""
    loader, name = node["__loader__"], type_of(node)
    if loader == "JsonNode":
        return
    if node["__module__"] == "__main__":
        raise OutsideError(
            f"this {model} holds '{node['__class__']}', which is defined in the program itself",
            hint="move it to a module of your project and import it",
        )
    if not hasattr(sys.modules.get(node["__module__"]), node["__class__"]) and loader != "OperatorFuncNode":
        raise OutsideError(
            f"this {model} holds {name}, which cannot be found again by that name",
            hint="use a function or class that stands at the top of a module, no lambda",
        )
    if loader == "DictNode" and (wrong := [kind for kind in _kinds_of_keys(node) if kind not in _KEY_TYPES]):
        raise OutsideError(
            f"this {model} holds a dict with keys of type {wrong[0]}, which do not survive in a model file",
            hint="use text or whole numbers as keys, for example class labels 0 and 1 for false and true",
        )


def _cannot_load(archive: Archive, error: BaseException) -> OutsideError:
    import skops
    from skops.io._protocol import PROTOCOL

    info = _describe(archive)
    if archive.schema["protocol"] > PROTOCOL:
        return OutsideError(
            f"this model file was written by skops {info.skops}, in protocol {archive.schema['protocol']}; "
            f"skops {skops.__version__} reads {PROTOCOL}",
            hint="install a newer skops: pip install --upgrade skops",
        )
    made, here = info.sklearn, _installed_sklearn()
    if made not in {None, here}:
        return OutsideError(
            f"this model was made by scikit-learn {made} and does not load in {here}: {_first_line(error)}",
            hint=f"install it: pip install scikit-learn=={made}",
        )
    if info.skops not in {None, skops.__version__}:
        return OutsideError(
            f"this model file was written by skops {info.skops} and does not load in {skops.__version__}: "
            f"{_first_line(error)}",
            hint=f"install it: pip install skops=={info.skops}",
        )
    if isinstance(error, ImportError):
        return OutsideError(f"the model needs a module that is not here: {error}", hint="install it, then try again")
    return damaged(f"{type(error).__name__}: {_first_line(error)}")


def _installed_sklearn() -> str:
    import sklearn

    version: str = sklearn.__version__
    return version


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
