"""What people get wrong: a mistake has its exit code, one line of what is wrong and what to type, and no effect."""

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lin.errors import ExitCode

RIDGE = "--target medv --model sklearn.linear_model.Ridge"
ROWS = '--rows "medv is not null"'
EMPTY_STORE = {"format": "store/1", "id": "01a2011e17d07643a9eaf293cbb812e6", "created": "2026-11-22T00:00:00Z"}


def nothing(_: Path) -> None:
    """The project as it is."""


@dataclass(frozen=True)
class Mistake:
    """A command line, the folder it meets, and what is said: parts of the message, and the hint."""

    words: str
    code: ExitCode
    says: str
    hint: str | None
    before: Callable[[Path], None] = nothing
    pointer: str | None = None


def file(name: str, text: str) -> Callable[[Path], None]:
    """Puts a file into the project."""

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def toml(old: str, new: str) -> Callable[[Path], None]:
    """Changes `lineage.toml`."""

    def change(folder: Path) -> None:
        path = folder / "lineage.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def store(record: dict[str, str]) -> Callable[[Path], None]:
    """Puts another `store.json`."""
    return file(".lin/store.json", json.dumps(record))


def no_project(folder: Path) -> None:
    """Takes `lineage.toml` away."""
    (folder / "lineage.toml").unlink()


USAGE, NOT_FOUND, CONFLICT = ExitCode.USAGE, ExitCode.NOT_FOUND, ExitCode.CONFLICT
STORE, OUTSIDE, CANNOT = ExitCode.STORE, ExitCode.OUTSIDE, ExitCode.NOT_REPRODUCIBLE

MISTAKES = [
    # what is not there
    Mistake("history housin", NOT_FOUND, "no table 'housin'", "did you mean 'housing'?"),
    Mistake("diff wine@0 wine@1", NOT_FOUND, "no table 'wine'", "lin add NAME SOURCE"),
    Mistake("show housing@9", NOT_FOUND, "table 'housing' has no version 9", "lin history housing"),
    Mistake("diff housing 0 9", NOT_FOUND, "table 'housing' has no version 9", "lin history housing"),
    Mistake("restore --version 9", NOT_FOUND, "table 'housing' has no version 9", "lin history housing"),
    Mistake("run --table-version 9", NOT_FOUND, "table 'housing' has no version 9", "lin history housing"),
    Mistake(f"train --table housing@9 {RIDGE}", NOT_FOUND, "has no version 9", "lin history housing"),
    Mistake("show housing@x", USAGE, "'x' is not a version of table 'housing'", "lin history housing"),
    Mistake("show nobody", NOT_FOUND, "no table, model or run 'nobody'", "lin tables, lin models, lin runs"),
    Mistake("trace nobody@1", NOT_FOUND, "no table or model 'nobody'", "lin tables, lin models"),
    Mistake("register nobody boston", NOT_FOUND, "no run 'nobody'", "lin runs"),
    Mistake("rerun nobody", NOT_FOUND, "no run 'nobody'", "lin runs"),
    Mistake("verify boston@1 nobody", NOT_FOUND, "no run 'nobody'", "lin runs"),
    Mistake("restore --run nobody", NOT_FOUND, "no run 'nobody'", "lin runs"),
    Mistake("log param a 1 --run nobody", NOT_FOUND, "no run 'nobody'", "lin runs"),
    Mistake("promote bosto@1 production", NOT_FOUND, "no model 'bosto'", "did you mean 'boston'?"),
    Mistake("promote boston@9 production", NOT_FOUND, "has no version 9", "lin show boston"),
    Mistake("predict boston@9 --row {}", NOT_FOUND, "has no version 9", "lin show boston"),
    Mistake("predict boston@staging --row {}", NOT_FOUND, "is in staging", "lin show boston"),
    Mistake("predict boston --row {}", USAGE, "'boston' names no version", "boston@production"),
    Mistake(
        "predict boston@prod --row {}",
        USAGE,
        "'prod' is neither a version, nor a stage, nor an alias of model 'boston'",
        "there are: none, staging, production",
    ),
    Mistake("promote boston@1 prod", USAGE, "'prod' is not a stage", "stages are none, staging, production"),
    Mistake("run wine", NOT_FOUND, "no experiment 'wine'", "declare [experiments.wine] in lineage.toml"),
    Mistake("run -- no-such-program", NOT_FOUND, "no program 'no-such-program'", "give its path, or check PATH"),
    Mistake("predict boston@1 --file no.csv", NOT_FOUND, "no file 'no.csv'", None),
    Mistake("add wine no.csv", NOT_FOUND, "no file or folder 'no.csv'", "lin add NAME FILE.csv"),
    # columns
    Mistake(f"train --table housing {RIDGE.replace('medv', 'mdev')}", USAGE, "'mdev'", "did you mean 'medv'?"),
    Mistake(f"train --table housing {RIDGE} --features rmm", USAGE, "'rmm'", "did you mean 'rm'?"),
    Mistake(f"train --table housing {RIDGE} --rows 'mdev > 1'", USAGE, "'mdev'", "did you mean 'medv'?"),
    Mistake("predict boston@1 --table housing --where 'mdev > 1'", USAGE, "'mdev'", "did you mean 'medv'?"),
    Mistake("diff housing 0 1 --key IDD", USAGE, "'IDD'", "did you mean 'ID'?"),
    Mistake(
        """predict boston@1 --row '{"crim": 1, "age": 1}'""",
        USAGE,
        "the rows do not fit model boston@1: 'rm' is missing",
        "it needs: crim double, rm double, lstat double",
    ),
    Mistake(
        """predict boston@1 --row '{"crim": null, "rm": 1, "lstat": 1}'""",
        OUTSIDE,
        "NaN",
        "columns with nulls or NaN: crim",
    ),
    Mistake("predict boston@1 --row {", USAGE, "--row is not JSON", """--row '{"COLUMN": 1.5}'"""),
    Mistake("predict boston@1 --row [1]", USAGE, "--row is not a JSON object", """--row '{"COLUMN": 1.5}'"""),
    Mistake("predict boston@1", USAGE, "one of --row, --file, --table", "lin predict --help"),
    Mistake("predict boston@1 --row {} --into medv", USAGE, "--into goes with --table", "lin predict --help"),
    Mistake("predict boston@1 --table housing@0 --into medv", USAGE, "'housing@0'", "--table housing"),
    # lineage.toml
    Mistake(
        "runs",
        USAGE,
        "lineage.toml: unknown key 'targt' [experiments.housing]",
        "did you mean 'target'?",
        toml("target", "targt"),
    ),
    Mistake(
        "runs", USAGE, "lineage.toml is not valid TOML: Expected '=' after a key", None, toml("target =", "target")
    ),
    Mistake("runs", USAGE, "lineage.toml: [experiments.housing] target", None, toml('target = "medv"', "target = 3")),
    Mistake("runs", USAGE, "[experiments.housing] lacks 'target'", None, toml('target = "medv"', "")),
    Mistake("runs", NOT_FOUND, "no lineage.toml in ", "lin init", no_project),
    Mistake("tables", NOT_FOUND, "no lin store in ", "lin init", toml('store = ".lin"', 'store = "elsewhere"')),
    Mistake("runs", USAGE, "store 's3://a/b'", None, toml('store = ".lin"', 'store = "s3://a/b"')),
    # the store
    Mistake(
        "runs",
        STORE,
        "in format 'store/2', written by a newer lin",
        "upgrade lin: pip install",
        store(EMPTY_STORE | {"format": "store/2"}),
    ),
    Mistake("runs", STORE, "store.json is damaged", "restore that file from a backup", store({"format": "store/1"})),
    Mistake(
        "models",
        STORE,
        "events/000000000002.json is damaged",
        "restore that file",
        file(".lin/events/000000000002.json", "{"),
    ),
    # what is to be imported
    Mistake(
        "add wine wine.csv",
        USAGE,
        "wine.csv, line 3: the row has 3 fields, and the header 2",
        "mend the file",
        file("wine.csv", "a,b\n1,2\n1,2,3\n"),
    ),
    Mistake(
        "add wine wine.csv",
        USAGE,
        "wine.csv, line 3: the row has 1 field, and the header 2",
        "--fill-short-rows",
        file("wine.csv", "a,b\n1,2\n1\n"),
    ),
    Mistake(
        "add wine wine.csv --key a",
        USAGE,
        "the key is not unique: 2 rows have a = 7",
        "choose more or other key columns",
        file("wine.csv", "a,b\n7,2\n7,3\n"),
    ),
    Mistake(
        "add wine wine.csv --key a",
        USAGE,
        "row 2 has no value in the key column 'a'",
        None,
        file("wine.csv", "a,b\n7,2\n,3\n"),
    ),
    Mistake("add wine housing.csv --key IDD", USAGE, "'IDD'", "did you mean 'ID'?"),
    Mistake("add wine data", NOT_FOUND, "data is not a Delta table", "lin add wine FILE.csv"),
    Mistake("add wine lineage.toml", USAGE, "cannot tell what is in lineage.toml", "convert it"),
    Mistake(
        "add housing housing.csv", CONFLICT, "a Delta table in data/housing already", "lin add housing data/housing"
    ),
    Mistake("add 'a wine' housing.csv", USAGE, "'a wine' cannot name a table", "use letters, digits"),
    # filters, parameters, estimators
    Mistake(
        "runs --where 'metrics.rmse <'",
        USAGE,
        "expected a value after '<'",
        None,
        pointer="  metrics.rmse <\n                ^",
    ),
    Mistake(
        "runs --where 'metrics.rmse < 5 andd x'",
        USAGE,
        "expected AND, OR or the end after '5'",
        None,
        pointer="  metrics.rmse < 5 andd x\n                   ^",
    ),
    Mistake("runs --sort rmse", USAGE, "no attribute 'rmse'", "metrics.rmse", pointer="  rmse\n  ^"),
    Mistake("run housing -P alpha", USAGE, "'alpha' is not a parameter", "write NAME=VALUE"),
    Mistake("run housing -P alpha=", USAGE, "'alpha=' has an empty value", 'write ""'),
    Mistake("run housing -P alpha=[1", USAGE, "'alpha=[1' has a value that is not JSON", None),
    Mistake("run housing -P alhpa=1", USAGE, "Ridge has no parameter 'alhpa'", "did you mean 'alpha'?"),
    Mistake(
        f"train --table housing {RIDGE}e",
        USAGE,
        "'sklearn.linear_model' has no 'Ridgee'",
        "did you mean 'sklearn.linear_model.Ridge'?",
    ),
    Mistake(
        "train --table housing --target medv --model os.system",
        USAGE,
        "os.system is not an estimator",
        "for example sklearn.linear_model.Ridge",
    ),
    Mistake("train --table housing --target medv --model no.such.Thing", USAGE, "no module 'no'", "for example"),
    Mistake(
        f"train --table housing@0 {RIDGE}",
        USAGE,
        "target 'medv' is null in 173 of 506 rows",
        '--rows "medv is not null"',
    ),
    Mistake(f"train --table housing {RIDGE} --metrics rsme", USAGE, "rsme", "did you mean 'rmse'?"),
    Mistake(f"train --table housing {RIDGE} --test-size 2", USAGE, "2", None),
    # the command line itself
    Mistake("histry housing", USAGE, "no command 'histry'", "did you mean 'history'?"),
    Mistake("frobnicate", USAGE, "no command 'frobnicate'", "lin --help"),
    Mistake("runs --jsn", USAGE, "no such option: --jsn (Possible options: --csv, --json)", "lin runs --help"),
    Mistake("--jsn", USAGE, "no such option: --jsn", "lin --help"),
    Mistake("verify", USAGE, "missing argument 'A'", "lin verify --help"),
    Mistake("runs --limit many", USAGE, "invalid value for '--limit'", "lin runs --help"),
    Mistake("runs --csv --json", USAGE, "--csv and --json do not go together", "lin runs --help"),
    Mistake("runs extra", USAGE, "(extra)", "lin runs --help"),
    Mistake("log", USAGE, "missing command", "lin log --help"),
    Mistake("log param alpha 0.1", USAGE, "This is not inside `lin run -- CMD`", "--run RUN, or set LIN_RUN"),
    Mistake("diff housing", USAGE, "takes two versions of one table", "lin diff housing@0 housing@1"),
    Mistake("diff housing@0 wine@1", USAGE, "'housing@0' and 'wine@1' are not two versions", "lin history housing"),
    Mistake("diff housing 0 1 --where 'pri > 1'", USAGE, "no column 'pri'", "the columns are: "),
    Mistake("diff housing 0 1 --columns mdev", USAGE, "no column 'mdev'", "did you mean 'medv'?"),
    Mistake("diff housing 0 1 --memory much", USAGE, "'much' is not an amount of memory", "write it as 400MB"),
    Mistake("diff housing 0 1 --output d.xlsx", USAGE, "what to write to 'd.xlsx'", "end in one of .parquet, .csv"),
    Mistake("restore housing", USAGE, "one of --version, --as-of, --run", "lin history housing"),
    Mistake("restore --as-of someday", USAGE, "'someday' is not a time", "write it as 2026-11-22"),
    Mistake("restore --as-of 1999-01-01", NOT_FOUND, "has no version as old as 1999-01-01", "lin history housing"),
    Mistake(
        "run housing -- ls", USAGE, "an experiment or a program, not both", "lin run EXPERIMENT, or lin run -- CMD"
    ),
    Mistake("verify boston@1 boston@2 --tolerance -1", USAGE, "the tolerance -1.0", None),
    Mistake("rerun housing@1", USAGE, "'housing@1' is a table", "lin runs"),
    Mistake("init --name 'a b'", USAGE, "'a b' cannot name a project", "use letters, digits", no_project),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.words)
def test_a_mistake_is_told_in_one_line_and_changes_nothing(lin, built: Path, mistake: Mistake):
    mistake.before(built)
    files = contents(built)
    result = lin(*shlex.split(mistake.words))
    first, *pointer = result.err.removesuffix("\n").split("\n")
    message, _, hint = first.removesuffix(")").partition(" (hint: ")
    assert message.startswith("error: ")
    assert "bug" not in message
    assert mistake.says in message
    assert mistake.hint is None or mistake.hint in hint
    assert "\n".join(pointer) == (mistake.pointer or "")
    assert result.out == ""
    assert result.code == mistake.code
    assert contents(built) == files


def contents(folder: Path) -> dict[str, str]:
    """Every file below the folder by the digest of its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".announced" not in path.parts  # a list that lives as long as the process
    }
