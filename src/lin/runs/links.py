"""Who read and who wrote what: all runs of a store, linked to table versions, model versions and files.

The index answers for the runs that it holds, records for the others, and one SQL asks both. What a re-run wrote lay
in a scratch folder and is no link, and neither are runs of kind `cell`, unless they are `named`.
"""
# ruff: noqa: S608 - the queries are made of texts of ours; every foreign value is bound

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from lin.records import FileRef, Input, Kind, ModelRef, TableRef
from lin.runs.catalog import ask_index
from lin.runs.index_rows import make_rows
from lin.runs.query import RunInfo, read_each
from lin.store.store import Store

if TYPE_CHECKING:
    import duckdb

_COLUMNS = (
    "id, name, kind, status, experiment, sweep, parent, make_timestamp(epoch_us(started)) AS started, source,"
    " environment, target, params['column'] AS filled, TRY_CAST(params['rows'] AS BIGINT) AS counted, read, wrote"
)
_ROW = "r.id, r.name, r.kind, r.status, r.experiment, r.sweep, r.parent, r.started, r.filled, r.counted"
_THING = "type, name, location, version, digest"
_PLACE = """CASE type
    WHEN 'table' THEN concat('table:', location, '@', version)
    WHEN 'model' THEN concat('model:', name, '@', version)
    ELSE concat('file:', digest, ':', name)
END"""
_LINKS = f"""
CREATE OR REPLACE TEMP TABLE links AS
SELECT *, {_PLACE} AS place FROM (
    SELECT id AS run, true AS is_read, unnest(read, recursive := true) FROM runs
    UNION ALL
    SELECT id AS run, false AS is_read, unnest(wrote, recursive := true) FROM runs WHERE parent IS NULL
)"""
_READ = (
    "SELECT place, CASE WHEN r.kind = 'predict' AND type = 'model' THEN 'predicted' ELSE 'read' END AS how,"
    f" {_ROW} FROM (SELECT DISTINCT run, type, place FROM links WHERE is_read) AS l JOIN runs AS r ON r.id = l.run"
    " WHERE true"
)
_FERTILE = "(r.parent IS NULL AND len(r.wrote) > 0 OR r.id IN (SELECT unnest($1)))"


MOST_NEAR = 4
_USE = {"source": "ran", "environment": "ran in"}


class RunRow(NamedTuple):
    """What the index tells of a run; `started` is in UTC, and has no zone.

    `filled` and `rows` are the params `column` and `rows`, which predictions have.
    """

    id: str
    name: str
    kind: Kind
    status: str
    experiment: str | None
    sweep: str | None
    parent: str | None
    started: datetime
    filled: str | None
    rows: int | None


class RunSet(NamedTuple):
    """Runs that read the same `places`, and are alike in the rest: their `ids`, oldest first."""

    places: list[str]
    kind: Kind
    status: str
    sweep: str | None
    experiment: str | None
    ids: list[str]


class Links:
    """The links of a store, as they were when it was asked. `notes` tell what of it could not be read."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", notes: list[str]) -> None:
        self.notes = notes
        self._connection = connection

    def readers(self, places: Collection[str], column: str) -> Iterator[tuple[str, str, RunRow]]:
        """The runs that tell that they used a column of these table versions, oldest first.

        Yields the place, as `place_of` makes it, whether the column was `target` or `feature`, and the run. To be
        asked of links that were read with `features`.
        """
        how = "CASE WHEN r.target = $2 THEN 'target' WHEN list_contains(r.features, $2) THEN 'feature' END"
        query = (
            f"SELECT DISTINCT place, {how} AS how, {_ROW} FROM links JOIN runs AS r ON r.id = links.run"
            " WHERE is_read AND place IN (SELECT unnest($1)) AND how IS NOT NULL ORDER BY r.id, place, how"
        )
        return self._runs(query, [[*places], column])

    def fertile(self, registered: Collection[str]) -> Iterator[tuple[str, str, RunRow]]:
        """As `readers`, all that was read by runs of which something came: an output, or a `registered` model."""
        return self._runs(f"{_READ} AND {_FERTILE} ORDER BY r.id, place, how", [[*registered]])

    def barren(
        self, registered: Collection[str], places: Collection[str], *, but: Collection[str] | None = None
    ) -> Iterator[tuple[str, str, RunRow]]:
        """As `readers`, by the other runs; with `but` only by predictions and by those runs."""
        query = f"{_READ} AND NOT ({_FERTILE}) AND place IN (SELECT unnest($2))"
        if but is None:
            return self._runs(f"{query} ORDER BY r.id, place, how", [[*registered], [*places]])
        query += " AND (r.kind = 'predict' OR r.id IN (SELECT unnest($3))) ORDER BY r.id, place, how"
        return self._runs(query, [[*registered], [*places], [*but]])

    def barren_sets(
        self,
        registered: Collection[str],
        places: Collection[str],
        *,
        without: Collection[str],
        code: tuple[str, str] | None = None,
    ) -> list[RunSet]:
        """The runs of `barren` but for predictions, those together that read the same of these places, oldest first.

        Left out are some by id, and those with the `source` or `environment` of that digest.
        """
        kind, digest = code or ("source", None)
        query = (
            "WITH ways AS (SELECT run, list(DISTINCT place ORDER BY place) AS way FROM links"
            " WHERE is_read AND place IN (SELECT unnest($2)) GROUP BY run)"
            " SELECT way, r.kind, r.status, r.sweep, r.experiment, list(r.id ORDER BY r.id)"
            f" FROM ways JOIN runs AS r ON r.id = ways.run WHERE r.kind <> 'predict' AND NOT ({_FERTILE})"
            f" AND r.id NOT IN (SELECT unnest($3)) AND ($4 IS NULL OR r.{kind} IS DISTINCT FROM $4)"
            " GROUP BY way, r.kind, r.status, r.sweep, r.experiment ORDER BY min(r.id)"
        )
        values = [[*registered], [*places], [*without], digest]
        return [RunSet._make(row) for row in self._all(query, values)]

    def rows(self, runs: Collection[str]) -> dict[str, RunRow]:
        """These runs, by id."""
        query = f"SELECT '', '', {_ROW} FROM runs AS r WHERE r.id IN (SELECT unnest(?)) ORDER BY r.id"
        return {row.id: row for _, _, row in self._runs(query, [[*runs]])}

    def users(self, kind: str, digest: str, registered: Collection[str]) -> Iterator[tuple[str, str, RunRow]]:
        """The runs with that `source` or `environment`, as `fertile` tells them, and all predictions."""
        how, column = _USE[kind], f"r.{kind}"
        query = f"SELECT {column}, '{how}', {_ROW} FROM runs AS r WHERE {column} = $2 AND ({_FERTILE}"
        return self._runs(f"{query} OR r.kind = 'predict') ORDER BY r.id", [[*registered], digest])

    def user_sets(self, kind: str, digest: str, registered: Collection[str]) -> list[RunSet]:
        """The runs with that `source` or `environment` that are not fertile, together where they are alike."""
        query = (
            "SELECT [$2], kind, status, sweep, experiment, list(id ORDER BY id) FROM runs AS r"
            f" WHERE r.{kind} = $2 AND NOT ({_FERTILE} OR r.kind = 'predict')"
            " GROUP BY kind, status, sweep, experiment ORDER BY min(id)"
        )
        return [RunSet._make(row) for row in self._all(query, [[*registered], digest])]

    def writers(self, place: str) -> list[str]:
        """The runs that wrote this place, newest first."""
        query = "SELECT DISTINCT run FROM links WHERE NOT is_read AND place = ? ORDER BY run DESC"
        return [run for (run,) in self._all(query, [place])]

    def table_writers(self) -> dict[str, str]:
        """The run that wrote each table version, the newest where several tell so."""
        query = "SELECT place, max(run) FROM links WHERE NOT is_read AND type = 'table' GROUP BY place"
        return dict(self._all(query, []))

    def read_files(self) -> set[str]:
        """The files that a run wrote and a run read."""
        query = "SELECT place FROM links WHERE type = 'file' GROUP BY place"
        found = self._all(f"{query} HAVING bool_or(is_read) AND NOT bool_and(is_read)", [])
        return {place for (place,) in found}

    def has_read(self, run: str, place: str, *, anything: bool) -> bool:
        """Whether that run read that place, or with `anything` whether it read something."""
        query = "SELECT 1 FROM links WHERE is_read AND run = ? AND (? OR place = ?) LIMIT 1"
        return bool(self._all(query, [run, anything, place]))

    def read_by_writers(self) -> dict[str, set[str]]:
        """What each run read that wrote a table version, by place."""
        wrote = "SELECT run FROM links WHERE NOT is_read AND type = 'table'"
        read: dict[str, set[str]] = {}
        for run, place in self._all(f"SELECT run, place FROM links WHERE is_read AND run IN ({wrote})", []):
            read.setdefault(run, set()).add(place)
        return read

    def table_places(self) -> set[str]:
        """The table versions that a run read or wrote."""
        return {place for (place,) in self._all("SELECT DISTINCT place FROM links WHERE type = 'table'", [])}

    def written(self) -> list[tuple[str, Input]]:
        """Each run that wrote something, and what."""
        query = f"SELECT DISTINCT run, {_THING} FROM links WHERE NOT is_read ORDER BY ALL"
        return [(run, _thing(*described)) for run, *described in self._all(query, [])]

    def twins(self, place: str) -> list[Input]:
        """The versions of tables that are the same data as the one at this place."""
        query = (
            f"SELECT DISTINCT {_THING} FROM links WHERE type = 'table' AND place <> $1"
            " AND digest IN (SELECT digest FROM links WHERE place = $1) ORDER BY ALL"
        )
        return [_thing(*described) for described in self._all(query, [place])]

    def pins_near(self, location: str, version: int) -> list[tuple[int, str]]:
        """Versions of the table there that runs read or wrote, with their pins: the nearest, `MOST_NEAR` at most."""
        query = (
            "SELECT DISTINCT version, digest FROM links WHERE type = 'table' AND location = ?"
            " ORDER BY abs(version - ?), digest LIMIT ?"
        )
        return self._all(query, [location, version, MOST_NEAR])

    def files(self, path: str) -> list[FileRef]:
        """Each content that a file of that path had when it was read or written."""
        query = f"SELECT DISTINCT {_THING} FROM links WHERE type = 'file' AND name = ? ORDER BY ALL"
        return [FileRef(path=name, sha256=digest, bytes=0) for _, name, _, _, digest in self._all(query, [path])]

    def of_digest(self, start: str) -> list[Input]:
        """The files and table versions whose content has a digest that begins so."""
        query = f"SELECT DISTINCT {_THING} FROM links WHERE type <> 'model' AND starts_with(digest, ?) ORDER BY ALL"
        return [_thing(*described) for described in self._all(query, [start])]

    def codes(self, kind: str, start: str) -> list[str]:
        """The digests of sources or environments that begin so."""
        column = "source" if kind == "source" else "environment"
        query = f"SELECT DISTINCT {column} FROM runs WHERE starts_with({column}, ?) ORDER BY 1"
        return [digest for (digest,) in self._all(query, [start])]

    def silent_readers(self, place: str) -> int:
        """How many runs read this place and do not tell which columns they used."""
        query = (
            "SELECT count(DISTINCT r.id) FROM links JOIN runs AS r ON r.id = links.run WHERE is_read"
            " AND place = ? AND r.target IS NULL AND len(r.features) = 0"
        )
        ((number,),) = self._all(query, [place])
        return int(number)

    def _runs(self, query: str, values: Sequence[object]) -> Iterator[tuple[str, str, RunRow]]:
        return ((row[0], row[1], RunRow._make(row[2:])) for row in self._all(query, values))

    def _all(self, query: str, values: Sequence[object]) -> list[Any]:
        return self._connection.execute(query, values).fetchall()


def read_links(
    store: Store, *, named: Collection[str] = (), features: bool = False, only_written: bool = False
) -> Links:
    """The links of all runs, deleted ones included.

    Args:
        store: whose runs they are.
        named: runs that are there whatever their kind.
        features: whether runs shall tell which columns they used.
        only_written: leave out runs that wrote nothing, and what the others read.
    """
    columns = f"{_COLUMNS}, features" if features else _COLUMNS
    where = "len(wrote) > 0" if only_written else "true"
    asked = ask_index(store, lambda index, gone: index.extract(columns, into="runs", where=where, gone=gone))
    connection = asked.answer or _connect()
    notes = [*asked.notes]
    fresh = [*read_each(store, asked.fresh, notes)]
    if fresh or asked.answer is None:
        connection.register("fresh", make_rows(fresh))
        way = "CREATE TEMP TABLE runs AS" if asked.answer is None else "INSERT INTO runs"
        connection.execute(f"{way} SELECT {columns} FROM fresh")
    connection.execute("DELETE FROM runs WHERE kind = 'cell' AND id NOT IN (SELECT unnest(?))", [[*named]])
    connection.execute(_LINKS)
    return Links(connection, notes)


def place_of(thing: Input) -> str:
    """What identifies a table version, a model version, or a file with its content, in links."""
    match thing:
        case TableRef():
            return f"table:{thing.location}@{thing.version}"
        case ModelRef():
            return f"model:{thing.model}@{thing.version}"
        case FileRef():
            return f"file:{thing.sha256}:{thing.path}"


def row_of(run: RunInfo) -> RunRow:
    """A run as the index tells of it."""
    filled, rows = run.params.get("column"), run.params.get("rows")
    return RunRow(
        run.id,
        run.name,
        run.kind,
        run.status,
        run.experiment,
        run.sweep,
        run.parent,
        run.started.astimezone(UTC).replace(tzinfo=None),
        filled if isinstance(filled, str) else None,
        rows if isinstance(rows, int) else None,
    )


def _connect() -> "duckdb.DuckDBPyConnection":
    from lin.data.sql import connect

    return connect()


def _thing(kind: str, name: str, location: str | None, version: int | None, digest: str) -> Input:
    """What a link is to; sizes are not told."""
    if kind == "file":
        return FileRef(path=name, sha256=digest, bytes=0)
    if kind == "model":
        return ModelRef(model=name, version=version or 0, sha256=digest)
    return TableRef(table=name, location=location or "", version=version or 0, pin=digest, rows=0)
