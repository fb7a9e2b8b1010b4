from datetime import UTC, datetime
from pathlib import Path

from inline_snapshot import snapshot

from lin.events import Register
from lin.ids import new_id
from lin.project import open_project


def test_lists_every_version(lin):
    result = lin("models")
    assert result.text == snapshot("""\
model     stage       aliases  run       registered (UTC)     by   re-run  description
boston@1  production           ########  0000-00-00 00:00:00  ann          the first
boston@2                       ########  0000-00-00 00:00:00  ann
""")
    assert (result.code, result.err) == (0, "")


def test_json_has_the_moves(lin):
    first, second = lin("models", "--json").json()
    assert list(first) == snapshot(
        [
            "model",
            "version",
            "stage",
            "run",
            "artifact",
            "sha256",
            "description",
            "registered",
            "actor",
            "history",
            "golden",
            "proof",
            "email",
            "signer",
            "aliases",
            "tags",
            "comments",
            "approvals",
            "unsafe",
        ]
    )
    assert [(move["stage"], move["actor"]) for move in first["history"]] == [("production", "ann")]
    assert (second["version"], second["stage"], second["history"]) == (2, "none", [])


def test_aliases_and_the_first_line_of_a_description(lin):
    lin("alias", "boston@2", "champion")
    lin("alias", "boston@2", "best")
    lin("comment", "boston@2", "--description", "newer\nand longer")
    assert lin("models").text.splitlines()[2] == snapshot(
        "boston@2              best, champion  ########  0000-00-00 00:00:00  ann          newer"
    )


def test_one_stage(lin):
    assert [version["version"] for version in lin("models", "--stage", "Production", "--json").json()] == [1]
    assert lin("models", "--stage", "staging").out == snapshot("no version is in staging\n")
    assert lin("models", "--stage", "stagin").err == snapshot(
        "error: 'stagin' is not a stage (hint: did you mean 'staging'?)\n"
    )


def test_as_of_a_moment(lin, built: Path):
    events = open_project(built).store.events.read()
    assert len(events) == 3  # registered, promoted, registered
    then = lin("models", "--as-of", events[0].time.isoformat())
    assert then.text.splitlines()[1:] == snapshot(
        ["boston@1                  ########  0000-00-00 00:00:00  ann          the first"]
    )
    assert then.err.endswith(" UTC: 1 of 3 events\n")
    assert then.err.startswith("the registry as of 20")
    now = lin("models", "--as-of", "now", "--json")
    assert now.out == lin("models", "--json").out
    assert now.err.endswith(" UTC: 3 of 3 events\n")


def test_before_anything_happened(lin):
    result = lin("models", "--as-of", "1999-01-01")
    assert (result.code, result.out) == snapshot((0, "no models then\n"))
    assert result.err.startswith("the registry as of 1999-01-01 23:59:59 UTC: none of 3 events; the first is of 20")
    assert lin("models", "--as-of", "1999-01-01", "--json").json() == []
    assert lin("models", "--as-of", "1999-01-01", "--stage", "staging").out == "no version was in staging\n"
    assert lin("models", "--as-of", "the other day").code == 2


def test_unsafe_ones_are_marked(lin, built: Path):
    pickled = Register(model="old", version=1, run=new_id(), artifact="model/model.pkl", sha256="0" * 64)
    events = open_project(built).store.events
    events.append(lambda _: pickled, actor="eve", op_id=new_id(), now=datetime.now(UTC))
    assert lin("models").text.splitlines()[3].startswith("old@1 unsafe ")
    assert [version["unsafe"] for version in lin("models", "--json").json()] == [False, False, True]


def test_an_empty_store(lin, tmp_path: Path, monkeypatch):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    lin("init")
    assert lin("models").out == snapshot("no models yet; register one: lin register RUN NAME\n")
    result = lin("models", "--as-of", "now")
    assert (result.out, result.err.partition(" UTC")[2]) == snapshot(("no models then\n", ": none of 0 events\n"))
