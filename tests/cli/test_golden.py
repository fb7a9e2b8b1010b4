from inline_snapshot import snapshot

from lin.models.registry import find_version, read_registry
from lin.project import open_project


def test_a_model_version_answers_as_it_did(lin):
    result = lin("verify", "boston@1")
    assert (result.code, result.text, result.err) == snapshot(
        (0, "same: boston@1 predicts its 506 golden rows as it did, bit for bit\n", "")
    )
    checked = lin("verify", "boston@production", "--json").json()
    assert (checked["model"], checked["answer"], checked["rows"]) == ("boston@1", "same", 506)
    assert list(checked) == snapshot(
        [
            "model",
            "run",
            "answer",
            "why",
            "sha256",
            "rows",
            "golden",
            "packages",
            "machine",
            "tolerance",
        ]
    )


def test_a_changed_model_file_is_a_no(lin, built):
    project = open_project(built)
    sha256 = find_version(read_registry(project.store), "boston@1").sha256
    (project.store_root / "blobs" / sha256[:2] / sha256).write_bytes(b"another model")
    result = lin("verify", "boston@1")
    assert result.code == 1
    assert result.out.splitlines()[0] == snapshot(
        "the model changed: the file of boston@1 in the store is not the registered one"
    )
    assert "is damaged: its content does not have that sha256" in result.out


def test_a_run_is_compared_with_another_one(lin):
    result = lin("verify", "last")
    assert (result.code, result.out) == (2, "")
    assert result.err == snapshot("""\
error: 'last' is a run: only a model version has golden predictions of its own to be held against \
(hint: lin verify last RUN)
""")


def test_show_says_how_many_rows_are_kept(lin):
    card = lin("show", "boston@1", "--json").json()
    assert card["golden"].startswith("506 rows kept (")
    assert card["version"]["golden"].startswith(card["golden"].partition("(")[2].rstrip(")"))
