"""Seals, and changes that count only where somebody with the role signed them: at writing, at reading, in fsck."""

import dataclasses
import json
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from lin.config import SecuritySetting
from lin.errors import RefusedError, StoreError
from lin.events import Grant, Register, Seal
from lin.lineage.card import read_model_card
from lin.lineage.collect import collect
from lin.lineage.delete import delete_runs
from lin.lineage.fsck.check import check_store
from lin.lineage.fsck.findings import Fsck
from lin.lineage.seal import read_listings, seal_store
from lin.models.changes import promote
from lin.models.registry import find_version, read_registry
from lin.models.talk import approve, comment, grant, set_alias
from lin.project import Project, make_notary, open_project
from lin.records import Sealed, digest, encode_in_full
from lin.runs.record import begin_run, capture
from lin.sealed import decode_sealed, encode_sealed
from lin.store.events import Events

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SETTING = SecuritySetting(sign=True, signers="signers")
As = Callable[..., Project]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of ann, bob and mallory, and a file of signers that knows the first two."""
    folder = tmp_path_factory.mktemp("keys")
    lines = []
    for name in ("ann", "bob", "mallory"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        lines.append(f'{name}@example.com namespaces="lin" {(folder / f"{name}.pub").read_text()}')
    (folder / "signers").write_text("".join(lines[:2]))
    return folder


@pytest.fixture
def acting(begun, keys: Path, monkeypatch: pytest.MonkeyPatch) -> As:
    """Opens the project of the story as somebody, whose key signs."""
    root = begun.project.root
    shutil.copy(keys / "signers", root / "signers")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)

    def acting(name: str, *, key: str | None = None, setting: SecuritySetting = SETTING) -> Project:
        monkeypatch.setenv("LIN_ACTOR", name)
        monkeypatch.setenv("LIN_SIGNING_KEY", str(keys / (key or name)))
        subprocess.run(["git", "-C", str(root), "config", "user.email", f"{name}@example.com"], check=True)
        project = open_project(root)
        project.store.events = Events(project.store.blobs.backend, make_notary(root, setting, project.store.info.id))
        return project

    return acting


def look(project: Project, setting: SecuritySetting = SETTING) -> Fsck:
    notary = make_notary(project.root, setting, project.store.info.id, remembers=False)
    given = {"share": 1.0, "chance": random.random, "pause": lambda: None, "now": NOW}
    return check_store(project, notary=notary, **given)


def unsigned(acting: As, name: str = "ann") -> Project:
    return acting(name, setting=SecuritySetting())


def stage(project: Project, reference: str) -> str:
    return find_version(read_registry(project.store), reference).stage


# --- changes that count -----------------------------------------------------------------------------------------------


def test_a_signed_promotion_counts(begun, acting: As) -> None:
    begun.train()
    promote(acting("ann"), "boston@1", "production")
    version = find_version(read_registry(acting("bob").store), "boston@production")
    (move,) = version.history
    assert (move.signer, move.actor) == ("ann@example.com", "ann@example.com")
    assert look(acting("ann")).findings == []


def test_a_promotion_that_is_not_signed_does_not_count_and_everybody_is_told(begun, acting: As) -> None:
    begun.train()
    promote(unsigned(acting), "boston@1", "production")
    project = acting("bob")
    assert stage(project, "boston@1") == "none"
    model = read_registry(project.store)["boston"]
    (told,) = model.discounted
    assert (told.event, told.action, told.why, told.version) == (
        2, "move boston@1 to production", "it is not signed", 1,
    )  # fmt: skip
    assert read_model_card(project, model.versions[0]).discounted == [told]
    (finding,) = look(project).findings
    assert (finding.file, finding.ill) == ("events/000000000002.json", "distrusted")
    assert "move boston@1 to production does not count: it is not signed" in finding.what


def test_a_signature_of_a_stranger_does_not_count(begun, acting: As) -> None:
    begun.train()
    forging = acting("ann", key="mallory", setting=SecuritySetting(sign=True))
    promote(forging, "boston@1", "production")
    project = acting("ann")
    assert stage(project, "boston@1") == "none"
    (finding,) = look(project).findings
    assert "its signature is not one that the signers have for ann <ann@example.com>" in finding.what


def test_roles_are_those_of_the_key(begun, acting: As) -> None:
    begun.train()
    grant(acting("ann"), "boston", "ann@example.com", "owner")
    forging = acting("ann", key="bob", setting=SecuritySetting(sign=True))
    set_alias(forging, "boston@1", "champion")  # bob says that he is ann
    claiming = acting("bob", setting=SecuritySetting(sign=True))
    with pytest.raises(RefusedError, match="takes the role promoter"):
        set_alias(claiming, "boston@1", "champion")
    assert read_registry(acting("ann").store)["boston"].aliases == {}
    set_alias(acting("ann"), "boston@1", "champion")
    assert read_registry(acting("bob").store)["boston"].aliases == {"champion": 1}


def test_nobody_makes_himself_an_owner_by_hand(begun, acting: As) -> None:
    """An event that no command writes: bob's key, bob's name, and a role that ann did not give."""
    begun.train()
    grant(acting("ann"), "boston", "ann@example.com", "owner")
    bob = acting("bob", setting=SecuritySetting(sign=True))
    bob.store.events.append(
        lambda _: Grant(model="boston", who="bob@example.com", role="owner"),
        actor="bob", email="bob@example.com", op_id="x", now=NOW,
    )  # fmt: skip
    with pytest.raises(RefusedError):
        promote(acting("bob"), "boston@1", "production")
    model = read_registry(acting("ann").store)["boston"]
    assert model.roles == {"ann@example.com": "owner"}
    assert [each.why for each in model.discounted] == ["it takes the role owner, and bob@example.com is reader"]


def test_what_would_not_count_is_refused_and_that_is_kept(begun, acting: As) -> None:
    begun.train()
    silent = acting("ann", setting=SecuritySetting(signers="signers"))
    with pytest.raises(RefusedError, match="ann may not move boston@1 to production: it is not signed") as refused:
        promote(silent, "boston@1", "production")
    assert refused.value.hint == "[security] sign = true in lineage.toml"
    (refusal,) = read_registry(silent.store)["boston"].refusals
    assert refusal.action == "move boston@1 to production"
    with pytest.raises(RefusedError, match="its signature is that of none of the signers"):
        promote(acting("mallory"), "boston@1", "production")


def test_whoever_has_no_role_to_lose_may_register_and_comment(begun, acting: As) -> None:
    begun.train()
    silent = acting("ann", setting=SecuritySetting(signers="signers"))
    comment(silent, "boston@1", "looks good")
    assert len(read_registry(silent.store)["boston"].versions[0].comments) == 1
    assert look(silent).findings == []


def test_what_is_trusted_counts_unsigned(begun, acting: As) -> None:
    begun.train()
    promote(unsigned(acting), "boston@1", "production")
    sha256 = digest(begun.project.store.blobs.backend.read("events/000000000002.json"))
    setting = SecuritySetting(sign=True, signers="signers", trusted=f"2:{sha256}")
    assert stage(acting("bob", setting=setting), "boston@1") == "production"
    promote(unsigned(acting), "boston@1", "staging")
    project = acting("bob", setting=setting)
    assert stage(project, "boston@1") == "production"
    found = look(project, setting)
    assert [finding.file for finding in found.findings] == ["events/000000000003.json"]
    assert found.signed is not None
    assert (found.signed.events, found.signed.trusted) == (0, 2)


def test_two_names_of_one_key_are_one_person(begun, acting: As) -> None:
    """Ann approves of a version twice, once under another login name: the key is what counts."""
    begun.train()
    project = acting("ann")
    approve(acting("bob"), "boston@1")
    monkey = dataclasses.replace(acting("bob"), actor="carol")
    approve(monkey, "boston@1")
    assert len(read_registry(project.store)["boston"].versions[0].approvals) == 1


# --- seals ------------------------------------------------------------------------------------------------------------


def test_a_seal_lists_each_sealed_run_once(begun, acting: As) -> None:
    first = begun.train()
    project = unsigned(acting)
    one = seal_store(project, now=NOW)
    assert (one.event, one.fresh, one.made) == (2, one.runs, True)
    again = seal_store(project, now=NOW)
    assert (again.event, again.made, again.runs) == (2, False, one.runs)
    second = begun.train()
    two = seal_store(project, now=NOW)
    assert (two.event, two.fresh, two.runs) == (4, 1, one.runs + 1)
    events = project.store.events.read()
    assert [event.signature is not None for event in events] == [False, True, False, True]
    listed = read_listings(project.store, events)
    assert {first.id, second.id} <= listed.keys()
    assert two.sha256 == digest(project.store.blobs.backend.read("events/000000000004.json"))


def test_fsck_tells_the_newest_good_seal_and_what_came_later(begun, acting: As) -> None:
    begun.train()
    project = unsigned(acting)
    seal_store(project, now=NOW)
    begun.train()
    signed = look(project).signed
    assert signed is not None
    assert signed.signers == {"ann@example.com": 1}
    assert signed.seal is not None
    assert (signed.seal.event, signed.seal.signer, signed.seal.later_events, signed.seal.later_runs) == (
        2, "ann@example.com", 1, 1,
    )  # fmt: skip
    assert look(project, SecuritySetting()).signed is None


def test_a_run_that_was_swapped_with_all_its_hashes_right_is_found(begun, acting: As) -> None:
    run = begun.train()
    project = unsigned(acting)
    seal_store(project, now=NOW)
    (path,) = project.store_root.glob(f"runs/*/{run.id}/run.json")
    sealed = decode_sealed(path.read_bytes(), Sealed, where="a run")
    path.chmod(0o600)
    path.write_bytes(encode_sealed(replace(sealed, features=["rm", "lstat"])))
    (finding,) = [each for each in look(project).findings if each.file.endswith("run.json")]
    assert (finding.ill, finding.what) == ("altered", "it is not the one that event 2 seals")
    assert finding.needed_by[0] == "boston@1"


def test_a_sealed_run_that_is_gone_is_found_but_for_one_that_was_collected(acting: As) -> None:
    project = unsigned(acting)
    runs = []
    for _ in range(2):
        recorder = begin_run(project, capture(project), kind="program", name="x", inputs=[])
        recorder.seal("finished")
        runs.append(recorder.id)
    seal_store(project, now=NOW)
    delete_runs(project, runs[:1], now=NOW)
    collect(project, now=datetime.now(UTC), take=True)
    assert look(project).findings == []
    (folder,) = project.store_root.glob(f"runs/*/{runs[1]}")
    shutil.rmtree(folder)
    (finding,) = look(project).findings
    assert (finding.ill, finding.what) == ("missing", "event 1 seals this run, and it is not there")


def test_gc_keeps_the_list_of_a_seal(begun, acting: As) -> None:
    begun.train()
    project = unsigned(acting)
    seal_store(project, now=NOW)
    collect(project, now=datetime.now(UTC), take=True)
    assert look(project).findings == []
    change = project.store.events.read()[-1].change
    assert isinstance(change, Seal)
    shutil.move(project.store_root / f"blobs/{change.listing[:2]}/{change.listing}", project.root / "gone")
    (finding,) = look(project).findings
    assert finding.what.startswith("the list of the runs that it seals cannot be read")


def test_a_stranger_seals_nothing(begun, acting: As) -> None:
    begun.train()
    with pytest.raises(RefusedError, match="not one that the signers have for mallory"):
        seal_store(acting("mallory"), now=NOW)
    assert seal_store(acting("mallory", setting=SecuritySetting()), now=NOW).event == 2  # nobody is known there
    assert seal_store(acting("bob"), now=NOW).event == 3


def test_a_damaged_run_is_not_sealed(begun, acting: As) -> None:
    run = begun.train()
    (path,) = begun.project.store_root.glob(f"runs/*/{run.id}/run.json")
    path.write_bytes(path.read_bytes().replace(b"finished", b"finishes"))
    with pytest.raises(StoreError, match=r"run\.json is damaged"):
        seal_store(unsigned(acting), now=NOW)


def test_a_log_that_was_rewritten_whole_is_found_by_the_signature(begun, acting: As) -> None:
    """All events made anew with right hashes by somebody without the key: the seal's signature is of another chain."""
    begun.train()
    project = unsigned(acting)
    seal_store(project, now=NOW)
    events = [*project.store.events.read()]
    previous = None
    for event in events:
        change = event.change
        if isinstance(change, Register):
            change = replace(change, description="another")
        data = encode_sealed(replace(event, change=change, previous=previous))
        previous = digest(data)
        path = project.store_root / f"events/{event.number:012d}.json"
        path.chmod(0o600)
        path.write_bytes(data)
    assert look(project, SecuritySetting()).findings == []  # nothing but the key tells
    (finding,) = look(project).findings
    assert (finding.file, finding.ill) == ("events/000000000002.json", "distrusted")


def test_the_answer_is_json(begun, acting: As) -> None:
    begun.train()
    project = unsigned(acting)
    seal_store(project, now=NOW)
    told = json.loads(encode_in_full(look(project)))
    assert told["signed"]["seal"]["event"] == 2
