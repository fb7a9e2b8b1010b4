"""The Python API: `session` has the active run, `log` logs to it, `tables` reads and writes, `runs` asks.

What is offered here is offered by `lin` itself: `lin.start_run`, `lin.log_metric`, `lin.read_table` and so on.
"""

from lin.api.log import (
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
    set_tag,
    set_tags,
)
from lin.api.runs import compare_runs, search_runs
from lin.api.session import ActiveRun, active_run, end_run, start_run
from lin.api.tables import diff_table, read_table, write_table

__all__ = [
    "ActiveRun",
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
