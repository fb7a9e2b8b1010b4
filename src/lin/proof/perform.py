"""Running a recipe: in a scratch folder, in its environment, with its variables and threads, as a new run.

What is live stays as it is, whatever the program does through its own files and tables. A program or a fit that fails
is a failed run; what cannot be run is refused before there is one.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lin.errors import ExitCode, NotFoundError, NotReproducibleError, OutsideError
from lin.ids import is_id
from lin.project import SCRATCH_VARIABLE, Project
from lin.proof.environments.prepare import Prepared, enter, prepare_environment, quiet
from lin.proof.recipe import THREAD_VARIABLES, decode_environment
from lin.proof.replay import PATHS_VARIABLE, source_of
from lin.proof.scratch import Scratch, cannot_run, find_heads, lay_out
from lin.recipes import Recipe
from lin.records import Environment, Kind, encode
from lin.runs.environment import capture_environment, capture_interpreter
from lin.runs.execute import Again, find_program, is_python, is_same_python, run_command
from lin.runs.host import capture_host, capture_process
from lin.runs.probe import VARIABLES
from lin.runs.query import RunInfo, read_run
from lin.runs.record import Capture

_OPENMP = "openmp"
"""Other libraries take its variable where they have none of their own."""


@dataclass(frozen=True)
class Performed:
    """The run that came of a recipe, and how the environment that it ran in differs from the one asked for."""

    run: RunInfo
    drift: list[str]


@dataclass(frozen=True)
class _Ready:
    """What a recipe runs with: its own digest, whose re-run it is, what kind of run it makes, and its environment."""

    digest: str
    parent: str | None
    kind: Kind
    prepared: Prepared
    variables: dict[str, str]


def perform(
    project: Project,
    recipe: Recipe,
    *,
    parent: str | None,
    kind: Kind | None = None,
    report: Callable[[str], None] = quiet,
) -> Performed:
    """Run a recipe once more. What the program prints is kept with its run, and not shown.

    A program reads its files by relative paths, or by absolute ones through Python, pandas, pyarrow, Polars, DuckDB's
    functions and deltalake. What it reads otherwise by an absolute path is what is there today, and no recorded input
    of the new run; a program that it starts with an absolute path of the project in its words is the one of today.

    Args:
        project: whose run it is.
        recipe: what is to be run.
        parent: the run that is run again.
        kind: of the new run (default: the recipe's).
        report: is told what takes time.

    Raises:
        NotReproducibleError: names what is missing, or not as it was. OutsideError: a fit ended without a run.
        KeyboardInterrupt: the program or fit was interrupted; its run is sealed as that.
    """
    kept = project.store.blobs.put(encode(recipe))
    program = None if recipe.kind == "train" else _find_program(project, recipe)
    here = program if program is not None and is_python(program) else Path(sys.executable)
    prepared = _prepare(project, recipe, here, report)
    variables = choose_variables(recipe, os.environ, _cores()) | {"LIN_ACTOR": project.actor}
    if prepared.built:
        variables = enter(prepared.python, variables)
        variables.pop("PYTHONPATH", None)
    ready = _Ready(kept, parent, kind or recipe.kind, prepared, variables)
    heads = find_heads(project, recipe, parent) if recipe.kind == "command" else {}
    with lay_out(project, recipe, heads=heads) as scratch:
        if program is None:
            run = _fit(project, recipe, scratch, ready)
        else:
            run = _run(project, recipe, scratch, ready, program)
    performed = Performed(read_run(project.store, run), prepared.drift)
    if performed.run.status == "interrupted":
        raise KeyboardInterrupt
    return performed


def choose_variables(recipe: Recipe, given: Mapping[str, str], cores: int) -> dict[str, str]:
    """The environment for a recipe: `given`, but of the variables that may change results exactly the recipe's.

    A numeric library that would take other than its recorded number of threads, which is `cores` by itself, is told.
    """
    variables = {name: value for name, value in given.items() if name not in VARIABLES} | recipe.variables
    by_itself = dict.fromkeys(recipe.threads, str(cores))
    wanted = {library: str(count) for library, count in recipe.threads.items() if library in THREAD_VARIABLES}
    for library in sorted(wanted, key=lambda name: name != _OPENMP):
        told = variables.get(THREAD_VARIABLES[_OPENMP], by_itself[library])
        name = THREAD_VARIABLES[library]
        if name not in variables and told != wanted[library]:
            variables[name] = wanted[library]
    return variables


def _cores() -> int:
    """How many threads a numeric library takes by itself."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare(project: Project, recipe: Recipe, here: Path, report: Callable[[str], None]) -> Prepared:
    if recipe.environment is None:
        if recipe.packages:
            raise cannot_run(recipe, ["it recorded no environment that could be varied"])
        return Prepared(here, built=False, drift=["the run recorded no environment"])
    recorded = decode_environment(project, recipe.environment)
    return prepare_environment(recorded, recipe.packages, here=here, blobs=project.store.blobs, report=report)


# --- a fit ------------------------------------------------------------------------------------------------------------


def _fit(project: Project, recipe: Recipe, scratch: Scratch, ready: _Ready) -> str:
    """Fit in a child process; returns the id of its run."""
    store = str(project.store_root.resolve())
    # -P: nothing in the folder can stand in for the modules of the child itself
    command = [str(ready.prepared.python), "-P", "-m", "lin.proof.replay", store, ready.digest]
    child = subprocess.run(
        [*command, ready.parent or "", ready.kind],
        cwd=scratch.project.root,
        env=_variables(project, scratch, ready),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    answer = child.stdout.strip()
    if child.returncode == 0 and is_id(answer):
        return answer
    if child.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    lines = child.stderr.strip().splitlines()
    reason = lines[-1] if lines else f"its process ended with exit code {child.returncode}"
    if child.returncode == ExitCode.NOT_REPRODUCIBLE:
        raise NotReproducibleError(reason)
    raise OutsideError(f"{recipe.name} could not be run again: {reason}")


def _variables(project: Project, scratch: Scratch, ready: _Ready) -> dict[str, str]:
    """Those of the recipe, the scratch folder, and where in it the modules are that are installed as editable now."""
    root = project.root.resolve()
    inside = [scratch.place(Path(entry)) for entry in sys.path if Path(entry).is_relative_to(root)]
    modules = os.pathsep.join(str(place) for place in inside if place.is_dir())
    return ready.variables | {SCRATCH_VARIABLE: str(scratch.folder), PATHS_VARIABLE: modules}


# --- a command --------------------------------------------------------------------------------------------------------


def _find_program(project: Project, recipe: Recipe) -> Path:
    """The program as it is found now, in the live project; a Python that is gone may be any other one."""
    name = recipe.command[0]
    try:
        return find_program(name, project.root / recipe.folder)
    except NotFoundError as error:
        in_source = "/" in name and not Path(name).is_absolute()
        if is_python(Path(name)):
            return Path(sys.executable)
        if in_source:  # it is in the source that is going to be laid out, or that says so
            return project.root / recipe.folder / name
        raise cannot_run(recipe, [error.message], error.hint) from error


def _run(project: Project, recipe: Recipe, scratch: Scratch, ready: _Ready, program: Path) -> str:
    folder = scratch.project.root / recipe.folder
    started = [_start(project, scratch, ready, program, recipe.folder)]
    started += [_move_word(project, scratch, word) for word in recipe.command[1:]]
    try:
        run, _ = run_command(
            scratch.project,
            recipe.command,
            folder=folder,
            name=recipe.name,
            experiment=recipe.experiment,
            params=dict(recipe.params),
            captured=_capture(project, recipe, ready, program),
            again=Again(ready.parent, ready.digest, ready.kind, started, _variables(project, scratch, ready)),
        )
    except NotFoundError as error:
        raise cannot_run(recipe, [error.message], error.hint) from error
    return run


def _start(project: Project, scratch: Scratch, ready: _Ready, program: Path, folder: str) -> str:
    """What to start: the prepared Python, the program in the scratch folder, or the one on this machine."""
    if is_python(program):
        return str(ready.prepared.python if ready.prepared.built else program)
    moved = scratch.place(project.root.resolve() / folder / program)
    return str(moved if moved.is_file() else program)


def _move_word(project: Project, scratch: Scratch, word: str) -> str:
    """A word of the command, its absolute path of the project turned into that of the scratch folder."""
    flag, sign, value = word.rpartition("=")
    root = str(project.root.resolve())
    if value != root and not value.startswith(root + "/"):
        return word
    moved = scratch.place(Path(value))
    return f"{flag}{sign}{moved}" if os.path.lexists(moved) else word


def _capture(project: Project, recipe: Recipe, ready: _Ready, program: Path) -> Capture:
    told = {name: value for name, value in ready.variables.items() if name in VARIABLES}
    # what this process has loaded says nothing of the program
    environment = msgspec.structs.replace(_capture_environment(project, ready, program), blas=[], variables=told)
    blobs = project.store.blobs
    return Capture(
        source=source_of(project, recipe, ready.parent),
        environment=blobs.put(encode(environment)),
        host=capture_host(),
        process=capture_process(),
    )


def _capture_environment(project: Project, ready: _Ready, program: Path) -> Environment:
    """As `capture_program` has it: that of the Python that runs, of this one where the program is something else."""
    blobs = project.store.blobs
    if ready.prepared.built:
        return capture_interpreter(ready.prepared.python, blobs, project.root)
    if is_python(program) and not is_same_python(program, Path(sys.executable)):
        return capture_interpreter(program, blobs, project.root)
    return capture_environment(blobs, project.root)
