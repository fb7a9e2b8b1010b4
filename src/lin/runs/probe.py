"""What the running interpreter is made of, as plain JSON values: packages, BLAS, variables, CPU features.

Standard library only and no import of lin, for its text also runs inside other interpreters (Python 3.9 or
newer). No path, no address and no variable that is not listed here is in what `collect` tells.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import Distribution

VARIABLES = (
    "BLIS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "LANG",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LOKY_MAX_CPU_COUNT",
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONOPTIMIZE",
    "PYTHONUTF8",
    "TZ",
    "VECLIB_MAXIMUM_THREADS",
)
"""The environment variables that change results. No other is ever read."""

_NUMERIC_FEATURE = re.compile(
    r"sse4_2|fma|f16c|avx\w*|amx\w*|asimd\w*|neon|sve\w*|sme[0-9bfi]\w*|bf16|fp16|i8mm|dotprod|vsx|altivec"
)
_INSTALLER_NOTES = (
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
    "uv_cache.json",
    "provenance_url.json",
)


def collect() -> dict[str, Any]:
    """Everything about this interpreter and process that an `environment/1` record holds."""
    machine = os.uname()
    return {
        "python": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "abi": str(sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag),
        "system": machine.sysname,
        "machine": machine.machine,
        "packages": installed(sys.path),
        "blas": loaded_blas(),
        "variables": {name: _printable(os.environ[name]) for name in VARIABLES if name in os.environ},
        "cpu_features": cpu_features(),
    }


# --- packages ---------------------------------------------------------------------------------------------


def installed(path: Iterable[str]) -> list[dict[str, Any]]:
    """Every distribution on `path` by normalised name (PEP 503), sorted; of one name the first counts."""
    from importlib.metadata import distributions

    # importing setuptools puts its private copies on the path: they are not part of the environment
    folders = [folder for folder in path if not folder.endswith("/setuptools/_vendor")]
    found: dict[str, dict[str, Any]] = {}
    for distribution in distributions(path=folders):
        facts = _describe(distribution)
        if facts is not None:
            found.setdefault(facts["name"], facts)
    return [found[name] for name in sorted(found)]


def _describe(distribution: Distribution) -> dict[str, Any] | None:
    """The facts of one distribution, or None where its metadata has no name or version."""
    headers = _headers(_text(distribution, "METADATA") or _text(distribution, "PKG-INFO"))
    name, version = headers.get("name"), headers.get("version")
    if not name or not version:
        return None
    editable = _editable_folder(_text(distribution, "direct_url.json")) is not None
    record = "" if editable else _text(distribution, "RECORD")
    return {
        "name": normal_name(name),
        "version": version,
        # an editable install records a link, not the code: that is a source snapshot's to tell
        "record": record_digest(record) if record else None,
        "editable": editable,
    }


def normal_name(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _headers(metadata: str) -> dict[str, str]:
    """The name and the version; what stands after the first empty line is prose."""
    headers: dict[str, str] = {}
    for line in metadata.partition("\n\n")[0].splitlines():
        if not line:
            break
        key, _, value = line.partition(":")
        if key.lower() in ("name", "version"):
            headers.setdefault(key.lower(), value.strip())
    return headers


def editable_folders(path: Iterable[str]) -> dict[str, str]:
    """Where the code of each editable distribution on `path` lies, by normalised name: an address, as it was noted."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for distribution in distributions(path=list(path)):
        address = _editable_folder(_text(distribution, "direct_url.json"))
        name = _headers(_text(distribution, "METADATA")).get("name") if address is not None else None
        if name and address is not None:
            found.setdefault(normal_name(name), address)
    return found


def _text(distribution: Distribution, name: str) -> str:
    try:
        return distribution.read_text(name) or ""
    except UnicodeDecodeError as error:
        return bytes(error.object).decode(errors="replace")


def _editable_folder(direct_url: str) -> str | None:
    """The address in an origin note (PEP 610) of an editable distribution; None for others."""
    try:
        note = json.loads(direct_url) if direct_url else None
    except ValueError:
        return None
    if not isinstance(note, dict):
        return None
    details = note.get("dir_info")
    if not isinstance(details, dict) or details.get("editable") is not True:
        return None
    return str(note.get("url", ""))


def record_digest(record: str) -> str:
    """The sha256 over the paths and digests in a RECORD that came out of the wheel, sorted.

    Installers add to RECORD what depends on them and on the place: compiled files, launchers that name their
    interpreter, their own notes. Without those, pip and uv give the same digest for the same wheel anywhere.
    """
    lines = []
    for line in record.splitlines():
        entry = line.rpartition(",")[0]
        is_hashed = entry[-1:] not in ("", ",") and "," in entry
        if is_hashed and entry[:1] != "/" and entry[:2] != ".." and not (".dist-info/" in entry and _is_note(entry)):
            lines.append(f"{entry}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _is_note(entry: str) -> bool:
    """Whether a `path,hash` names an installer's own note."""
    folder, _, name = entry.rpartition(",")[0].rpartition("/")
    return folder.endswith(".dist-info") and name in _INSTALLER_NOTES


# --- the process and the machine --------------------------------------------------------------------------


def loaded_blas() -> list[dict[str, Any]]:
    """The BLAS and threading libraries loaded now; empty where numpy is not imported yet."""
    if "numpy" not in sys.modules:
        return []
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    found = {
        (
            str(pool["internal_api"]),
            pool.get("version") or "",
            int(pool["num_threads"]),
            pool.get("architecture") or "",
        )
        for pool in threadpool_info()
    }
    return [
        {"library": library, "version": version or None, "threads": threads, "kernel": kernel or None}
        for library, version, threads, kernel in sorted(found)
    ]


def cpu_features() -> list[str]:
    """The CPU's flags that choose between numeric kernels, sorted; empty where the system does not tell."""
    if sys.platform == "darwin":
        return numeric_features(
            sysctl("machdep.cpu.features", "machdep.cpu.leaf7_features", "hw.optional").splitlines()
        )
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123  read to the first hit
            return numeric_features(lines, first=True)
    except OSError:
        return []


def numeric_features(lines: Iterable[str], *, first: bool = False) -> list[str]:
    """The numeric flags in `/proc/cpuinfo` (`first`: one core says it all) or in the answer of `sysctl`."""
    words: set[str] = set()
    for line in lines:
        key, _, value = line.partition(":")
        key, value = key.strip().lower(), value.strip().lower()
        if key in ("flags", "features") or key.startswith("machdep.cpu."):
            words.update(value.split())
            if first:
                break
        elif value == "1":  # hw.optional.arm.FEAT_BF16: 1
            words.add(key.rpartition(".")[2].replace("feat_", ""))
    renamed = {"sse4.2": "sse4_2", "avx1.0": "avx", "advsimd": "asimd"}
    return sorted(word for word in {renamed.get(w, w) for w in words} if _NUMERIC_FEATURE.fullmatch(word))


def sysctl(*names: str) -> str:
    """What macOS says about `names`: `name: value` lines; empty where it does not know them."""
    import subprocess

    try:
        answer = subprocess.run(
            ["/usr/sbin/sysctl", *names],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout


def _printable(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


if __name__ == "__main__":
    sys.stdout.write(json.dumps([collect(), editable_folders(sys.path)]) + "\n")
