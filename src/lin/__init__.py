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
        compare_runs,
        diff_table,
        end_run,
        flush,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_metric,
        log_metrics,
        log_model,
        log_param,
        log_params,
        log_text,
        read_table,
        search_runs,
        set_tag,
        set_tags,
        start_run,
        write_table,
    )

__all__ = [
    "ActiveRun",
    "__version__",
    "active_run",
    "compare_runs",
    "diff_table",
    "end_run",
    "flush",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_text",
    "read_table",
    "search_runs",
    "set_tag",
    "set_tags",
    "start_run",
    "write_table",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'lin' has no attribute '{name}'")
    value = getattr(importlib.import_module("lin.api"), name)
    globals()[name] = value
    return value
