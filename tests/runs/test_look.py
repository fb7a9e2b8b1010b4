"""A look as a file: its name, its kind, and what is refused before the table is read."""

from pathlib import Path

import pytest

from lin.data.tables import Table, open_table
from lin.errors import NotFoundError, OutsideError, UsageError
from lin.project import Project
from lin.runs.look import draw_version


@pytest.fixture
def table(housing: Project) -> Table:
    return open_table(housing, "housing")


def test_a_picture_is_named_after_the_version(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    drawn = draw_version(table, target="medv")
    data = (tmp_path / "housing@0.png").read_bytes()
    assert (drawn.path, drawn.bytes, drawn.profile.rows) == ("housing@0.png", len(data), 60)
    assert data.startswith(b"\x89PNG")
    assert draw_version(table, target="medv") == drawn
    assert (tmp_path / "housing@0.png").read_bytes() == data


def test_the_end_of_the_name_says_which_kind(table: Table, tmp_path: Path) -> None:
    page = tmp_path / "look.html"
    assert draw_version(table, 0, output=page).path == str(page)
    assert page.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(UsageError, match=r"is neither a \.png nor a \.html"):
        draw_version(table, 99, output=tmp_path / "look.pdf")  # said before the version is looked for


def test_what_cannot_be_written_or_found_is_told(table: Table, tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="cannot be written: No such file or directory"):
        draw_version(table, output=tmp_path / "nowhere" / "a.png")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OutsideError, match="cannot be written: Is a directory"):
        draw_version(table, output=tmp_path / "b.png")
    with pytest.raises(NotFoundError, match="no version 9"):
        draw_version(table, 9, output=tmp_path / "c.png")
    assert not (tmp_path / "c.png").exists()
