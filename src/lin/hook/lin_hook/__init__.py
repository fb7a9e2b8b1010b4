"""Watches a program: every data file and Delta table that it opens becomes a line in the log of its run.

Standard library only, Python 3.8 or newer, and as little of it as can be before the program touches data: not even
`typing` or `json`. It never changes what the program does, and what goes wrong in here is silent. In a re-run it also
leads the program to its files: see `scratch`.
"""

from __future__ import annotations

import sys

from .patch import Patcher
from .watch import Watch


def start(run: str, settings: str) -> None:
    """Watch this process and what it forks. `settings` is the JSON in LIN_CAPTURE, read when it is needed."""
    watch = Watch(run, settings)
    if '"scratch":' in settings:
        from .scratch import Scratch

        watch.scratch = Scratch(settings)
        watch.scratch.enter()
    sys.meta_path.insert(0, Patcher(watch))
    sys.addaudithook(watch.make_hook())
