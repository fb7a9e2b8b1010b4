"""`lin seal` and signed changes as their users see them: real keys, a real git configuration."""

import subprocess
from pathlib import Path

import pytest
from inline_snapshot import snapshot

SIGNED = '\n[security]\nsign = true\nsigners = "signers"\n'


@pytest.fixture
def key(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key of ann, who is in the project's file of signers."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    (built / "signers").write_text(f'ann namespaces="lin" {key.with_suffix(".pub").read_text()}')
    monkeypatch.setenv("LIN_SIGNING_KEY", str(key))
    return key


def declare(text: str) -> None:
    with Path("lineage.toml").open("a") as file:
        file.write(text)


@pytest.mark.usefixtures("key")
def test_a_seal_is_made_once_and_checked(lin) -> None:
    result = lin("seal")
    assert result.code == 0
    assert result.text.splitlines()[0] == snapshot(
        "event 4 seals 3 events and 6 runs, signed by ann; 6 runs for the first time"
    )
    assert result.text.splitlines()[2] == "[security]"
    assert lin("seal").text == snapshot("nothing is new: event 4 seals 3 events and 6 runs, signed by ann\n")
    told = lin("fsck", "--signers", "signers")
    assert told.code == 1  # nothing that was done until now is signed
    assert told.text.partition("\n")[2] == snapshot("""\
signed: 1 of 4 events, by ann (1)
sealed: by event 4, ann, 0000-00-00 00:00:00 UTC; 0 events and 0 runs came later

events/000000000002.json: distrusted
  that ann did move boston@1 to production does not count: it is not signed
  ask who wrote it; what is right has to be done again, and signed by somebody with the role
""")
    (_, _, _, trusted) = result.out.splitlines()
    declare(SIGNED + trusted + "\n")
    told = lin("fsck")
    assert (told.code, told.text.partition("\n")[2]) == snapshot(
        (
            0,
            """\
signed: 1 of 4 events, by ann (1); 3 count unsigned
sealed: by event 4, ann, 0000-00-00 00:00:00 UTC; 0 events and 0 runs came later
""",
        )
    )
    assert lin("models").out == lin("models", "--store", ".lin").out


def test_without_a_key_it_says_how_to_name_one(lin) -> None:
    result = lin("seal")
    assert (result.code, result.out, result.err) == (
        2, "", "error: there is no key to sign with (hint: git config --global user.signingkey ~/.ssh/id_ed25519)\n",
    )  # fmt: skip


def test_what_does_not_count_is_told_everywhere(lin, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = lin("seal").out.splitlines()[3]
    lin("promote", "boston@2", "staging")  # in a project that does not sign yet
    declare(SIGNED + trusted + "\n")
    assert lin("promote", "boston@2", "production").text == snapshot(
        "boston@2 is in production; boston@1 is archived\n"
    )
    models = lin("models")
    assert models.err == snapshot("boston: 1 change does not count (lin show boston)\n")
    assert "staging" not in models.out
    assert "does not count  event 5, move boston@2 to staging, 0000-00-00 00:00:00 UTC by ann: it is not signed\n" in (
        lin("show", "boston").text
    )
    shown = lin("show", "boston@2").text
    assert "moved to        production, 0000-00-00 00:00:00 UTC by ann, signed\n" in shown
    assert "does not count" in shown
    found = lin("fsck")
    assert (found.code, found.text.splitlines()[-3:]) == snapshot(
        (
            1,
            [
                "events/000000000005.json: distrusted",
                "  that ann did move boston@2 to staging does not count: it is not signed",
                "  ask who wrote it; what is right has to be done again, and signed by somebody with the role",
            ],
        )
    )
    assert "  that ann did move boston@2 to staging does not count: it is not signed\n" in lin("status").text
    assert lin("seal").text.splitlines()[1] == (
        "1 change under it does not count: to trust this event would make them count (lin fsck)"
    )
    monkeypatch.setenv("LIN_SIGNING_KEY", str(key.parent / "none"))
    refused = lin("promote", "boston@1", "staging")
    assert (refused.code, refused.out) == (13, "")


def test_signers_that_are_not_there_are_no_finding(lin) -> None:
    result = lin("fsck", "--signers", "nobody")
    assert (result.code, result.out) == (2, "")
    assert "there is no file of signers at" in result.err
