"""The entry point: finds the command, runs it, and is the only place that turns an error into a message and a code.

A command is the function of the same name in the module of the same name. Only the one that is asked for is imported,
so that start-up does not grow with the number of commands.
"""

import errno
import gc
import importlib
import os
import sys
from keyword import iskeyword
from typing import NoReturn

import typer

from lin.cli.streams import open_missing, settle, tell
from lin.errors import ExitCode, LinError, OutsideError, UsageError, is_out_of_threads, nearest, refused
from lin.version import __version__

COMMANDS = {
    "init": "Make a project here: lineage.toml and the store.",
    "add": "Add a table: adopt Delta, or import CSV, Parquet or JSON.",
    "tables": "List the tables.",
    "history": "Show a table's versions: who wrote each, how, in which run.",
    "show": "Show a table version, run, model or model version in full.",
    "plot": "Draw a table's columns, runs as points, or metrics as curves.",
    "diff": "Show the rows and cells that differ between two versions.",
    "blame": "Show who last wrote each cell: version, user, run, model.",
    "restore": "Make a table equal to an old version, as a new version.",
    "vacuum": "Delete files that no run and no recent version needs.",
    "run": "Run an experiment, or any program after --, as recorded runs.",
    "train": "Fit a scikit-learn estimator on a table, ad hoc.",
    "log": "Record params, metrics, tags, artifacts from inside a program.",
    "runs": "List the runs: filter, sort, cut.",
    "compare": "Show what differs between runs: params, metrics, inputs, code.",
    "index": "Show the index of runs, or make it anew.",
    "artifacts": "List a run's artifacts, get them as files, or look at one.",
    "output": "Show what a run's program printed, or prints.",
    "register": "Make a run's model the next version of a named model.",
    "promote": "Move a model version to a stage, if its gates let it.",
    "approve": "Approve of a model version, for gates that ask for it.",
    "alias": "Give a model version a name of its own, or take it away.",
    "tag": "Tag a model or a model version.",
    "comment": "Comment on a model or version, or describe it.",
    "grant": "Say who owns, promotes or only reads a model.",
    "rollback": "Put a model's stages and aliases, and its tables, back.",
    "models": "List the registered models and their versions.",
    "export": "Write a model version as a folder or zip that MLflow loads.",
    "import": "Register a model from such a folder or zip, fully checked.",
    "predict": "Score a row, a file or a table; --into writes predictions back.",
    "rerun": "Re-run a fit or a command from its record, judge the result.",
    "verify": "Compare two runs, or score a model's golden rows again.",
    "why": "Say why B came out otherwise than A, and how to undo it.",
    "doctor": "Find out whether runs can be re-run, without running them.",
    "status": "Tell how tables, models and runs stand, and what is wrong.",
    "trace": "Show what a thing was made from: data, code, runs, models.",
    "impact": "Show what was made from a thing, and what of it is live.",
    "delete": "Delete runs; --undo brings them back until lin gc took them.",
    "gc": "Take away what deleted runs and killed programs left.",
    "seal": "Sign all events and runs that there are.",
    "fsck": "Look the whole store over: records, hashes, files, tables.",
    "demo": "Play the whole story on real data, in a folder of its own.",
}

_OBJECTS = 100_000
"""After so many new objects it is looked for garbage: start-up makes tens of thousands, and hardly any is garbage."""

ALONE = {("fsck", "--read-data"): "--read-data=100%"}
"""Options whose value may be left out, by command, and what they mean then: typer has no word for that."""

TAKES_PROGRAM = "run"
"""The command after which `--` starts a program's own command line."""


_OUR_FAULT = {None, errno.EFAULT, errno.EINVAL}
"""What the system answers to a program that asks wrongly. All else is about a disk, a file or a limit."""


def main(argv: list[str] | None = None) -> NoReturn:
    """Run `lin` with these arguments (default: the process's own) and exit with the code of `lin.errors.ExitCode`."""
    if argv is None:
        gc.set_threshold(_OBJECTS)
        open_missing()
    arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    own, program = _split_program(arguments)
    try:
        if arguments[0] == "--version":
            _show_version()
        # not standalone: typer raises what it has to say, and returns the code of a `typer.Exit`
        app = build_app(own, is_process=argv is None)
        own = [ALONE.get((_asked(own), word), word) for word in own]
        sys.exit(app(own, obj=program, prog_name="lin", standalone_mode=False) or ExitCode.OK)
    except LinError as error:
        sys.exit(_report(error))
    except typer.TyperException as error:
        sys.exit(_report(_translate(error, own)))
    except BaseException as error:  # a panic in a library written in Rust is no Exception
        if os.environ.get("LIN_DEBUG") or isinstance(error, SystemExit | KeyboardInterrupt):
            raise
        if _is_interrupted(error):
            raise KeyboardInterrupt from error
        sys.exit(_report(_name_failure(error)))
    finally:
        settle()


def build_app(arguments: list[str], *, is_process: bool = False) -> typer.Typer:
    """An app with the command that `arguments` ask for, or with all of them by name where they ask for none.

    Raises:
        UsageError: there is no such command.
    """
    asked = _asked(arguments)
    if asked and asked not in COMMANDS:
        hint = nearest(asked, list(COMMANDS), instead="lin --help")
        raise UsageError(f"there is no command '{asked}'", hint=hint)
    app = typer.Typer(
        name="lin",
        help="Remembers what made each model, says why a prediction changed, and gets the old result back, with proof.",
        epilog="lin COMMAND --help tells more. The table of exit codes is in docs/cli.md.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
    )
    app.callback()(_root_of_process if is_process else _root)
    for name, summary in COMMANDS.items():
        if not asked:
            app.command(name, help=summary)(_listed)
        elif name == asked:
            add_command(app, name)
    return app


def add_command(app: typer.Typer, name: str) -> None:
    """Add the command of that name from its module: a function, or an app with commands of its own."""
    command = getattr(importlib.import_module(f"lin.cli.{word_of(name)}"), word_of(name))
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


def word_of(name: str) -> str:
    """What the module of a command is called, and the function in it: as the command, if Python has not the word."""
    return f"{name}_" if iskeyword(name) else name


def _show_version() -> NoReturn:
    from lin.cli.printing import write

    write(f"lin {__version__}\n".encode())
    sys.exit(ExitCode.OK)


def _root(*, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Only so that `lin` is a group of commands and `lin --help` shows `--version`."""


def _root_of_process(
    *,
    version: bool = typer.Option(False, "--version", help="Print the version."),  # noqa: ARG001  as in `_root`
) -> None:
    """Runs before the command of a process that ends with it. What was imported until now stays.

    No collection looks at it again, not even the last one, which took a third of a short command. Not so what is
    imported later: DuckDB complains of objects that it does not get back.
    """
    gc.freeze()


def _listed() -> None:
    """Stands for a command in `lin --help`; its module is imported when it is asked for."""


def _asked(arguments: list[str]) -> str:
    return next((word for word in arguments[:1] if not word.startswith("-")), "")


def _translate(error: typer.TyperException, arguments: list[str]) -> UsageError:
    """What typer says of a wrong option or argument, in our form."""
    said = error.format_message().removesuffix(".")
    hint = " ".join(word for word in ("lin", _asked(arguments), "--help") if word)
    return UsageError(said[:1].lower() + said[1:], hint=hint)


def _split_program(arguments: list[str]) -> tuple[list[str], list[str]]:
    if arguments[:1] == [TAKES_PROGRAM] and "--" in arguments:
        at = arguments.index("--")
        return arguments[:at], arguments[at + 1 :]
    return arguments, []


def _report(error: LinError) -> ExitCode:
    """Tell of it on stderr."""
    from lin.cli.printing import safe

    message, pointer = _split_pointer(error.message)
    hint = f" (hint: {safe(error.hint)})" if error.hint else ""
    tell("\n".join([f"error: {safe(message)}{hint}", *map(safe, pointer)]) + "\n")
    return error.exit_code


def _is_interrupted(error: BaseException) -> bool:
    """Whether an interrupt made a library fail: one that is being imported tells of it in its own words."""
    before = error.__cause__ or error.__context__
    return before is not None and (isinstance(before, KeyboardInterrupt) or _is_interrupted(before))


def _name_failure(error: BaseException) -> LinError:
    """What no edge translated: the system refused something, a library failed, or it is a bug."""
    if isinstance(error, OSError) and error.errno not in _OUR_FAULT:
        return refused(f"cannot use {_name_file(error)}", error)
    if is_out_of_threads(error):
        return OutsideError("the system gives no more threads", hint="ulimit -u, or the limit of the container")
    if isinstance(error, MemoryError):
        return OutsideError("there is not enough memory for this")
    if isinstance(error, ImportError) or not isinstance(error, Exception):
        said = f"{error}".splitlines()[0]
        return OutsideError(f"a library failed: {said}", hint="is there memory, and may files be opened? ulimit -a")
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return LinError(f"this is a bug in lin: {what}", hint="LIN_DEBUG=1 shows where")


def _name_file(error: OSError) -> str:
    return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"


def _split_pointer(message: str) -> tuple[str, list[str]]:
    """The message, and the two lines below it that point at a character. No other line break is one of ours."""
    message_lines = message.split("\n")
    if len(message_lines) > 2 and message_lines[-1].strip() == "^":  # noqa: PLR2004
        return "\n".join(message_lines[:-2]), message_lines[-2:]
    return message, []
