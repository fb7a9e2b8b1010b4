"""Stores that older lins made are read as they were when they were made."""

import importlib.util
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lin.data.pins import check_pin
from lin.data.tables import Table
from lin.lineage.fsck.check import check_store
from lin.lineage.seal import read_listings
from lin.models.registry import read_registry
from lin.project import make_notary, open_project
from lin.records import Pin, decode
from lin.runs.query import list_runs

STORES = Path(__file__).parent / "stores"
GOLDEN = sorted(path for path in STORES.iterdir() if (path / "answers.json").exists())


@pytest.fixture
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_stores", STORES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("store", GOLDEN, ids=lambda path: path.name)
def test_it_answers_as_when_it_was_made(store: Path, tmp_path: Path, maker: ModuleType) -> None:
    folder = tmp_path / "moved"  # not where it was made: every path in a store is relative
    shutil.copytree(store, folder)
    answers = json.loads((folder / "answers.json").read_text())
    for name, words in maker.QUESTIONS.items():
        assert what_was_said(maker.ask(folder, words), answers[name]) == answers[name], name


def what_was_said(answer: Any, before: Any) -> Any:
    """The answer without the members that a newer lin has added."""
    if isinstance(answer, dict) and isinstance(before, dict):
        return {key: what_was_said(value, before[key]) for key, value in answer.items() if key in before}
    if isinstance(answer, list) and isinstance(before, list) and len(answer) == len(before):
        return [what_was_said(*pair) for pair in zip(answer, before, strict=True)]
    return answer


@pytest.mark.parametrize("store", GOLDEN, ids=lambda path: path.name)
def test_all_that_it_names_is_there_and_whole(store: Path) -> None:
    project = open_project(store)
    found = list_runs(project.store, kinds=None)
    assert found.damaged == []
    assert len(found.runs) >= 7
    for run in found.runs:
        digests = {a.sha256 for a in run.artifacts} | {run.environment} | ({run.source.tree} if run.source else set())
        for digest in digests - {None}:
            project.store.blobs.read(digest)
        for read in (*run.table_inputs, *run.outputs):
            pin = decode(project.store.blobs.read(read.pin), Pin, where="pin")
            assert check_pin(Table(read.table, project.store_root / read.location), pin) == []


def test_there_is_one_of_every_format() -> None:
    assert [path.name for path in GOLDEN] == ["v1"]


def test_what_was_signed_is_still_known_by_its_key(tmp_path: Path) -> None:
    """A seal of three events, after it a promotion that is signed and one that is not."""
    folder = tmp_path / "signed"
    shutil.copytree(STORES / "signed", folder)
    project = open_project(folder)
    model = read_registry(project.store)["boston"]
    assert [(version.stage, [move.signer for move in version.history]) for version in model.versions] == [
        ("archived", [None, "ann@example.com"]),
        ("production", ["ann@example.com"]),
    ]
    assert [(each.event, each.why) for each in model.discounted] == [(6, "it is not signed")]
    (run,) = list_runs(project.store).runs
    assert read_listings(project.store, project.store.events.read()).keys() == {run.id}
    notary = make_notary(folder, project.config.security, project.store.info.id, remembers=False)
    looked = {"share": 1.0, "chance": float, "pause": lambda: None, "now": datetime.now(UTC)}
    found = check_store(project, notary=notary, **looked)
    assert [finding.file for finding in found.findings] == ["events/000000000006.json"]
    assert found.signed is not None
    assert (found.signed.events, found.signed.trusted) == (2, 3)
    assert found.signed.seal is not None
    assert (found.signed.seal.event, found.signed.seal.later_runs) == (4, 0)
