"""Whose code may run: words, and the user's own file, which nobody else can have written."""

import os
import sys
from pathlib import Path

import pytest

from lin.errors import OutsideError, UsageError
from lin.runs.trust import LARGEST, NOBODY, Trust, importing_trusted, place_of_trust, read_trust

DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


def write(environ: dict[str, str], text: str | bytes) -> Path:
    place = place_of_trust(environ)
    assert place is not None
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    place.chmod(0o600)
    return place


def test_words_are_types_or_files(environ: dict[str, str]) -> None:
    found = read_trust(["my_models.Stacked", f"sha256:{DIGEST}", "a.b.C"], environ)
    assert found == Trust(types=frozenset({"my_models.Stacked", "a.b.C"}), files=frozenset({DIGEST}))
    assert read_trust(None, environ) == NOBODY


@pytest.mark.parametrize(
    "word",
    ["", "Stacked", "a..b", "a.b ", "a-b.c", "*", "sha256:12", f"sha256:{DIGEST.upper()}", f"md5:{DIGEST}", DIGEST],
)
def test_a_word_that_is_neither_is_refused(environ: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError, match="neither the import path of a type nor the sha256 of a file"):
        read_trust([word], environ)


def test_the_users_file_adds_to_the_words(environ: dict[str, str]) -> None:
    write(environ, f'types = ["mine.A"]\nfiles = ["sha256:{DIGEST}"]\n')
    found = read_trust(["mine.B"], environ)
    assert found == Trust(types=frozenset({"mine.A", "mine.B"}), files=frozenset({DIGEST}))


def test_the_file_lies_where_the_system_keeps_settings(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert place_of_trust(home) == tmp_path / ".config/lin/trust.toml"
    assert place_of_trust({**home, "XDG_CONFIG_HOME": "/etc/mine"}) == Path("/etc/mine/lin/trust.toml")
    # what is relative would be a place in the project
    assert place_of_trust({**home, "XDG_CONFIG_HOME": "config"}) == tmp_path / ".config/lin/trust.toml"
    assert place_of_trust({}) is None
    assert read_trust(None, {}) == NOBODY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('type = ["a.B"]', "unknown key 'type'"),
        ("types = [", "is not valid TOML"),
        ("types = 1", "Expected `array`"),
        ('types = ["B"]', r"types: 'B' is neither"),
        (f'types = ["sha256:{DIGEST}"]', "import paths belong into 'types'"),
        ('files = ["a.B"]', "import paths belong into 'types'"),
        (b"\xff", "is not valid TOML"),
        ("a" * (LARGEST + 1), "is larger than"),
        ("a = " + "[" * 100_000, "is not valid TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused(environ: dict[str, str], text: str | bytes, said: str) -> None:
    write(environ, text)
    with pytest.raises(UsageError, match=said):
        read_trust(None, environ)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(environ: dict[str, str], mode: int) -> None:
    place = write(environ, 'types = ["mine.A"]\n')
    place.chmod(mode)
    with pytest.raises(OutsideError, match="others may write to it") as refused:
        read_trust(None, environ)
    assert refused.value.hint == f"chmod go-w {place}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(environ: dict[str, str]) -> None:
    place = write(environ, 'types = ["mine.A"]\n')
    os.chown(place, 12345, -1)
    with pytest.raises(OutsideError, match="it belongs to user 12345"):
        read_trust(None, environ)


def test_a_file_that_cannot_be_read_is_told(environ: dict[str, str]) -> None:
    place = write(environ, "")
    place.unlink()
    place.mkdir()
    with pytest.raises(OutsideError, match="cannot be read"):
        read_trust(None, environ)


def test_modules_are_looked_for_in_the_project_only_where_somebody_is_trusted(tmp_path: Path) -> None:
    before = list(sys.path)
    with importing_trusted(tmp_path, NOBODY):
        assert sys.path == before
    with importing_trusted(tmp_path, Trust(types=frozenset({"a.B"}))):
        assert sys.path == [str(tmp_path), *before]
    assert sys.path == before
