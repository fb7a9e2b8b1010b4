"""A diff as one HTML page that needs nothing else: no script, no network, and nothing foreign unescaped.

Its policy forbids all of them too.
"""

from collections.abc import Iterable
from html import escape
from typing import Any

from lin.data.changes import RowChange, TableDiff

_MARKS = {"inserted": "+", "deleted": "−", "updated": "~"}
_STYLE = """
:root { color-scheme: light dark; --ink: #22313f; --grey: #75808a; --line: #dfe4e8; --paper: #fff; --stripe: #f6f8f9;
  --old: #a33b2a; --oldback: #fbe9e6; --new: #1f6f43; --newback: #e4f4ea; }
@media (prefers-color-scheme: dark) { :root { --ink: #dbe2e8; --grey: #8d99a4; --line: #33404c; --paper: #161c22;
  --stripe: #1c242c; --old: #f0a193; --oldback: #3b2320; --new: #8fd6ac; --newback: #1d3527; } }
body { font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 75rem; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .grey { color: var(--grey); }
.counts { display: flex; gap: 2.5rem; margin: 1.25rem 0; } .counts b { display: block; font-size: 1.6rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--grey); font-weight: 500; position: sticky; top: 0; background: var(--paper); }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top;
  max-width: 30rem; overflow: hidden; text-overflow: ellipsis; }
td.number, th.number { text-align: right; }
del { color: var(--old); background: var(--oldback); text-decoration: none; padding: 0 .25rem; border-radius: 3px; }
ins { color: var(--new); background: var(--newback); text-decoration: none; padding: 0 .25rem; border-radius: 3px; }
tr.inserted td.mark { color: var(--new); } tr.deleted td.mark { color: var(--old); }
"""


def render_page(diff: TableDiff, rows: list[RowChange]) -> str:
    """The page: counts, the columns that changed, and `rows`, old beside new; it says how many are not on it."""
    title = f"{diff.table}@{diff.old} → {diff.table}@{diff.new}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">""",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape_text(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape_text(title)}</h1>",
            render_body(diff, rows),
            "</body></html>\n",
        ]
    )


def render_body(diff: TableDiff, rows: list[RowChange]) -> str:
    """What stands on the page below its title, without the style."""
    return "\n".join([*_head(diff), *_columns(diff), *_rows(diff, rows)])


def _head(diff: TableDiff) -> Iterable[str]:
    how = f"Rows are matched by {', '.join(diff.key)}." if diff.key else "Rows are compared whole, as a multiset."
    where = f" Only rows where {diff.where}." if diff.where is not None else ""
    yield f'<p class="grey">{escape_text(how + where)}</p>'
    counts = (("inserted", diff.inserted), ("deleted", diff.deleted), ("updated", diff.updated))
    yield '<div class="counts">' + "".join(f"<div><b>{n:,}</b>{what}</div>" for what, n in counts) + "</div>"
    for sentence in diff.remarks():
        yield f"<p>{escape_text(sentence)}</p>"


def _columns(diff: TableDiff) -> Iterable[str]:
    if not diff.columns:
        return
    yield "<h2>Changed columns</h2><div class=scroll><table><tr><th>column</th>"
    yield "".join(f'<th class="number">{name}</th>' for name in ("cells", "were null", "are null"))
    yield "<th>largest movement</th></tr>"
    for name, column in diff.details.items():
        counts = (diff.columns[name], column.filled, column.emptied)
        numbers = "".join(f'<td class="number">{n:,}</td>' for n in counts)
        moved = column.largest
        largest = f"{_key(moved.key)} {_change(moved.old, moved.new)}" if moved else ""
        yield f"<tr><td>{escape_text(name)}</td>{numbers}<td>{largest}</td></tr>"
    yield "</table></div>"


def _rows(diff: TableDiff, rows: list[RowChange]) -> Iterable[str]:
    if not rows:
        return
    whole_rows_first = sorted(rows, key=lambda row: row.kind == "updated")  # these have all columns in their order
    shown = list(dict.fromkeys(name for row in whole_rows_first for name in [*(row.new or {}), *(row.old or {})]))
    names = [*(diff.key or []), *(name for name in shown if name not in (diff.key or []))]
    yield "<h2>Rows</h2><div class=scroll><table><tr><th></th>"
    yield "".join(f"<th>{escape_text(name)}</th>" for name in names) + "</tr>"
    for row in rows:
        cells = "".join(f"<td>{_cell(row, name)}</td>" for name in names)
        yield f'<tr class="{row.kind}"><td class="mark">{_MARKS[row.kind]}</td>{cells}</tr>'
    yield "</table></div>"
    rest = diff.inserted + diff.deleted + diff.updated - len(rows)
    if rest > 0:
        yield f'<p class="grey">… and {rest:,} more rows that are not on this page</p>'


def _cell(row: RowChange, name: str) -> str:
    if name in row.key:
        return escape_text(_show(row.key[name]))
    if row.kind == "updated":
        known = row.new is not None and row.old is not None and name in row.new
        return _change((row.old or {})[name], (row.new or {})[name]) if known else ""
    mark, cells = ("ins", row.new) if row.kind == "inserted" else ("del", row.old)
    return f"<{mark}>{escape_text(_show((cells or {}).get(name)))}</{mark}>"


def _change(old: Any, new: Any) -> str:
    return f"<del>{escape_text(_show(old))}</del> → <ins>{escape_text(_show(new))}</ins>"


def _key(key: dict[str, Any]) -> str:
    return escape_text(", ".join(f"{name} {_show(value)}" for name, value in key.items()))


def _show(value: Any) -> str:
    return "null" if value is None else str(value)


def escape_text(value: str) -> str:
    """`value` escaped for HTML, with the characters that hide or turn others shown as escapes."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    return escape(shown)
