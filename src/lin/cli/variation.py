"""What `--with` does: the same command line once more, in an environment with other versions."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lin.cli.printing import note

if TYPE_CHECKING:
    from lin.project import Project


def run_in_variation(
    project: "Project", specifiers: Sequence[str], given: typer.Context, program: Sequence[str] = ()
) -> None:
    """Become the command as `given`, with `program`, in a variation of this environment or of the program's own Python.

    Returns where this environment is what was asked for; else never. A program that is no Python itself finds the
    variation of this environment first on its PATH.

    Raises:
        UsageError: `specifiers` are not `name==version` each. NotFoundError: there is no such program.
        NotReproducibleError: packages cannot be had.
    """
    from lin.proof.environments.prepare import enter, parse_with, prepare_environment
    from lin.runs.environment import capture_environment, capture_interpreter
    from lin.runs.execute import find_program, is_python, is_same_python

    packages = parse_with(specifiers)
    own, words = Path(sys.executable), list(program)
    here = found = find_program(words[0], Path.cwd()) if words else own
    if not is_python(found) or is_same_python(found, own):
        here = own
    blobs, root = project.store.blobs, project.root
    current = capture_environment(blobs, root) if here is own else capture_interpreter(here, blobs, root)
    prepared = prepare_environment(current, packages, here=here, blobs=blobs, report=note)
    before = {package.name: package.version for package in current.packages} | {"python": current.python}
    changes = [f"{name} {before.get(name, 'none')} -> {version}" for name, version in packages.items()]
    if not prepared.built:
        note(f"this environment has that already: {', '.join(specifiers)}")
        return
    whose = "this environment" if here is own else f"the environment of {here}"
    note(f"in a variation of {whose}: {', '.join(changes + prepared.drift)}")
    if words and is_python(found):
        words[0] = "python"  # by name, as PATH begins with the variation
    interpreter = prepared.python if here is own else own
    # -P: nothing in the folder of the caller can stand in for the modules of lin
    command = [str(interpreter), "-P", "-m", "lin", *_words(given), *(["--", *words] if words else [])]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(interpreter, command, enter(prepared.python, os.environ))  # noqa: S606  no shell, and a list of words


def _words(given: typer.Context) -> Iterator[str]:
    """What was typed between `lin` and `--`, less every `--with`."""
    yield given.info_name or ""
    for param in given.command.params:
        value = given.params[param.name or ""]
        option = max(param.opts, key=len)
        if option == "--with" or value is None or value is False:
            continue
        for item in value if isinstance(value, list | tuple) else [value]:
            if param.param_type_name == "argument":
                yield str(item)
            else:
                yield option if item is True else f"{option}={item}"
