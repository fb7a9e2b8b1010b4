"""The points of a declared command: its template filled in, and each command line run as a recorded run."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lin.errors import UsageError
from lin.project import Project
from lin.records import Param
from lin.runs.execute import capture_program, find_program, run_command
from lin.runs.host import capture_process
from lin.runs.record import Capture
from lin.runs.sweep import Ended, name_point


class Command(NamedTuple):
    """One point: the command line, and the values that were filled in."""

    argv: list[str]
    params: dict[str, Param]


@dataclass(frozen=True)
class CommandWork:
    """What the points of a sweep share. `captured` is by program: another Python has another environment."""

    experiment: str
    sweep: str | None
    captured: Mapping[str, Capture]
    capture: bool = True

    apart = True
    """While a program runs, an interrupt is its own affair, and the leader of the sweep must get it too."""

    def open(self, project: Project) -> Callable[[Command], Ended]:
        """Return what runs one command, in the project's folder."""
        process = capture_process()

        def do(command: Command) -> Ended:
            run_id, _ = run_command(
                project,
                command.argv,
                folder=project.root,
                name=name_point(self.experiment, command.params),
                experiment=self.experiment,
                sweep=self.sweep,
                params=dict(command.params),
                captured=replace(self.captured[command.argv[0]], process=process),
                capture=self.capture,
            )
            return Ended(run_id, [])

        return do


def capture_programs(project: Project, commands: Sequence[Command]) -> dict[str, Capture]:
    """Take source, environment and host once for each program. Raises `NotFoundError` if there is no such program."""
    names = dict.fromkeys(command.argv[0] for command in commands)
    programs = {name: find_program(name, project.root) for name in names}
    return {name: capture_program(project, program) for name, program in programs.items()}


def fill_in(experiment: str, template: str, params: dict[str, Param]) -> Command:
    """The command line with `{name}` replaced in each word, so that a value never becomes more than one word.

    Raises:
        UsageError: a word names no parameter, or there is no word.
    """
    try:
        words = [word.format_map(params) for word in shlex.split(template)]
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the command of experiment '{experiment}' cannot be filled in: {template!r} with {params}: {error}",
            hint="each {name} needs a parameter of that name; write {{ and }} for braces",
        ) from error
    if not words:
        raise UsageError(f"the command of experiment '{experiment}' is empty", hint='command = "python train.py"')
    return Command(words, params)
