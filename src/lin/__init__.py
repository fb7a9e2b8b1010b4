"""`lin`: what made each model, why a prediction changed, and the old result back, with proof.

The names of the Python API are offered here and imported when they are first used: the command line starts fast.
"""

import importlib
from typing import TYPE_CHECKING

from lin.version import __version__

if TYPE_CHECKING:
    from lin.api import (
        ActiveRun,
        active_run,
        log_artifact,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        read_table,
        set_tag,
        start_run,
    )

__all__ = [
    "ActiveRun",
    "__version__",
    "active_run",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "read_table",
    "set_tag",
    "start_run",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'lin' has no attribute '{name}'")
    value = getattr(importlib.import_module("lin.api"), name)
    globals()[name] = value
    return value
