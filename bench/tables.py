"""Questions to large tables, each beside the plainest way to read the same data, in one run.

    python bench/tables.py [ROWS]          # 10,000,000 rows unless told; generated, 9 columns in 20 files
    python bench/tables.py --large         # also 100,000,000 rows in three columns

Every time is that of a whole process, but for the scans and the join: DuckDB in a new process, timed from where it has
imported the engine. A scan reads and hashes all columns. Ratios are of medians. The start of a process is that of a
bare Typer command which imports the same engines.
"""

import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import lin as package

FILES = 20
COLUMNS = ["id", *(f"x{n}" for n in range(8))]
START = """
import duckdb, pyarrow.parquet, numpy, msgspec, typer, rich.console, rich.table, lin.cli.main
app = typer.Typer()
@app.command()
def main(words: list[str], flag: bool = False) -> None: pass
app(["a"], standalone_mode=False)
"""
REPEATS = 5


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--large"]
    rows = int(words[0]) if words else 10_000_000
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR", Path.cwd()), prefix=".bench-"))
    report = Report()
    try:
        os.chdir(folder)
        compileall.compile_dir(Path(package.__file__).parent, quiet=1)  # as an installation does
        versions = make_table(Path("data/big"), rows)
        make_project()
        start = seconds([sys.executable, "-c", START])
        one_file(report, versions, start)
        all_files(report, versions)
        rewritten_files(report, rows)
        shared_files(report, rows)
        many_commits(report)
        many_appends(report)
        if "--large" in sys.argv:
            large(report)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)
    return report.show()


# --- what is measured -------------------------------------------------------------------------------------------------


def one_file(report: "Report", versions: list[list[str]], start: float) -> None:
    changed = sorted(set(versions[0]) ^ set(versions[1]))
    scan = scan_and_hash(changed)
    diff = seconds(["lin", "diff", "big", "0", "1", "--json"])
    join = inner_seconds(FULL_JOIN, [versions[0], versions[1], COLUMNS], repeats=3)
    report.add(
        "one file changed: diff beyond the start, beside a scan of that file's versions", (diff - start) / scan, 2
    )
    report.add(
        "one file changed: a full outer join of the whole versions, beside the diff, both beyond their start",
        join / (diff - start),
        -8,
    )


def all_files(report: "Report", versions: list[list[str]]) -> None:
    for what, old in (("in their order", 1), ("shuffled", 2)):
        scan = scan_and_hash([*versions[old], *versions[old + 1]])
        words = ["lin", "diff", "big", str(old), str(old + 1), "--json"]
        diff = seconds(words)
        pandas = seconds([sys.executable, "-c", PANDAS, json.dumps([versions[old], versions[old + 1]])], repeats=1)
        report.add(f"all files changed, rows {what}: diff beside a scan-and-hash of both", diff / scan, 3)
        report.add(f"all files changed, rows {what}: pandas beside the diff", pandas / diff, -4)
        report.add(f"all files changed, rows {what}: resident memory of the diff, GiB", gibibytes(words), 1.3)
        small = [*words, "--memory", "400MB"]
        report.add(
            f"all files changed, rows {what}: under --memory 400MB, beside without", seconds(small, repeats=1) / diff
        )
        report.add(f"all files changed, rows {what}: resident memory under --memory 400MB, GiB", gibibytes(small))


def rewritten_files(report: "Report", rows: int) -> None:
    """What delta-rs leaves of rows in their order when it changes one in a hundred of them, in all files."""
    import numpy as np
    import pyarrow as pa
    from deltalake import DeltaTable

    path = Path("data/rewritten")
    random = np.random.default_rng(1)
    added = [write_file(path, f"f{n}.parquet", part) for n, part in enumerate(make_parts(rows, random))]
    commit(path, 0, [*head_actions(COLUMNS), *added])
    table = DeltaTable(path)
    table.update(updates={"x2": "x2 + 1"}, predicate="id % 100 = 7")
    table.restore(0)
    changed = pa.table({"id": np.sort(random.choice(rows, rows // 100, replace=False))})
    merge = table.merge(changed, predicate="t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update({"x2": "t.x2 + 1"}).execute()
    lin("add", "rewritten", str(path), "--key", "id")
    files = {version: DeltaTable(path, version=version).file_uris() for version in (0, 1, 3)}
    for what, new in (("UPDATE", 1), ("MERGE", 3)):
        words = ["lin", "diff", "rewritten", "0", str(new), "--json"]
        ratio = seconds(words) / scan_and_hash([*files[0], *files[new]])
        report.add(f"all files changed by delta-rs, {what}: diff beside a scan-and-hash of both", ratio, 3)
        report.add(f"all files changed by delta-rs, {what}: resident memory, GiB", gibibytes(words), 1.3)


def shared_files(report: "Report", rows: int) -> None:
    make_table(Path("data/small"), rows // 1000)
    lin("add", "small", "data/small", "--key", "id")
    for name in ("big", "small"):
        table = Path("data") / name
        head = len(list((table / "_delta_log").iterdir()))
        commit(table, head, [])
    both = [seconds(["lin", "diff", name, "3", "4", "--json"]) for name in ("big", "small")]
    report.add("all files shared: the large table beside one of a thousandth", both[0] / both[1], 1.2)


def many_commits(report: "Report") -> None:
    import pyarrow as pa

    path = Path("data/long")
    rows = pa.table({"id": list(range(1000)), "x0": [0.0] * 1000})
    actions = [*head_actions(["id", "x0"]), write_file(path, "f0.parquet", rows)]
    commit(path, 0, actions)
    last = actions[-1]
    for version in range(1, 1000):
        changed = rows.set_column(1, "x0", pa.array([float(version if n == version else 0) for n in range(1000)]))
        new = write_file(path, f"f{version}.parquet", changed)
        commit(path, version, [remove(last), new])
        last = new
    lin("add", "long", "data/long", "--key", "id")
    report.add("history of 1,000 commits, seconds", seconds(["lin", "history", "long", "--json"]), 1)
    report.add(
        "blame of one key over 1,000 commits, each a rewrite of its file, seconds",
        seconds(["lin", "blame", "long", "--key", "0", "--json"]),
        2,
    )


def many_appends(report: "Report") -> None:
    """No range of keys tells the files apart."""
    import numpy as np
    import pyarrow as pa

    path = Path("data/grown")
    ids = np.random.default_rng(0).permutation(1_000_000).reshape(1000, 1000)
    for version in range(1000):
        added = write_file(path, f"f{version}.parquet", pa.table({"id": ids[version], "x0": [0.0] * 1000}))
        commit(path, version, [*(head_actions(["id", "x0"]) if version == 0 else []), added])
    lin("add", "grown", "data/grown", "--key", "id")
    words = ["lin", "blame", "grown", "--key", str(ids[500, 0]), "--json"]
    report.add("blame of one key over 1,000 commits, each an append, seconds", seconds(words), 2)


def large(report: "Report") -> None:
    """One file of many changed: the others are not looked at."""
    import numpy as np
    import pyarrow as pa

    def rows(number: int, shift: float) -> pa.Table:
        ids = np.arange(number * 1_000_000, (number + 1) * 1_000_000)
        return pa.table({"id": ids, "x0": ids % 1000 + shift, "x1": (ids % 7).astype(float)})

    for name, files in (("large", 100), ("little", 1)):
        path = Path("data") / name
        added = [write_file(path, f"f{n}.parquet", rows(n, 0.0)) for n in range(files)]
        commit(path, 0, [*head_actions(["id", "x0", "x1"]), *added])
        commit(path, 1, [remove(added[0]), write_file(path, "g.parquet", rows(0, 1.0))])
        lin("add", name, f"data/{name}", "--key", "id")
    words = {name: ["lin", "diff", name, "0", "1", "--json"] for name in ("large", "little")}
    both = [seconds(words[name]) for name in ("large", "little")]
    memory = [gibibytes(words[name]) for name in ("large", "little")]
    report.add(
        "100 M rows, one of 100 files changed: diff beside that of a table of this one file", both[0] / both[1], 1.2
    )
    report.add("the same: resident memory", memory[0] / memory[1], 1.2)


SCAN = """
import json, sys, time, duckdb
paths, columns = json.loads(sys.argv[1])
started = time.perf_counter()
duckdb.execute("SET enable_progress_bar = false")
duckdb.execute(f"SELECT bit_xor(hash({', '.join(columns)})) FROM read_parquet({paths})").fetchall()
print(time.perf_counter() - started)
"""
FULL_JOIN = """
import json, sys, time, duckdb
old, new, columns = json.loads(sys.argv[1])
started = time.perf_counter()
differ = " OR ".join(f"o.{name} IS DISTINCT FROM n.{name}" for name in columns)
duckdb.execute("SET enable_progress_bar = false")
duckdb.sql(f"SELECT count(*) FROM read_parquet({old}) AS o FULL OUTER JOIN read_parquet({new}) AS n"
           f" ON o.id IS NOT DISTINCT FROM n.id WHERE {differ}").fetchall()
print(time.perf_counter() - started)
"""
PANDAS = """
import json, sys, pandas
old, new = (pandas.concat(map(pandas.read_parquet, paths)) for paths in json.loads(sys.argv[1]))
both = old.merge(new, on="id", how="outer", suffixes=("_old", "_new"), indicator=True)
names = [name for name in old.columns if name != "id"]
changed = both["_merge"] != "both"
for name in names:
    one, other = both[name + "_old"], both[name + "_new"]
    changed |= (one != other) & ~(one.isna() & other.isna())
print(changed.sum())
"""


# --- how --------------------------------------------------------------------------------------------------------------


class Report:
    """Figures with their limits: at most, or where it is negative, at least."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, float | None]] = []

    def add(self, what: str, figure: float, limit: float | None = None) -> None:
        self.lines.append((what, figure, limit))
        print(f"{figure:8.2f}  {what}", flush=True)

    def show(self) -> int:
        print()
        missed = 0
        for what, figure, limit in self.lines:
            good = limit is None or (figure <= limit if limit > 0 else figure >= -limit)
            bound = "" if limit is None else f"limit {'' if limit > 0 else '≥ '}{abs(limit)}"
            print(f"{'  ' if good else '! '}{figure:7.2f}  {bound:10}  {what}")
            missed += not good
        return 1 if missed else 0


def seconds(words: Sequence[str], repeats: int = REPEATS) -> float:
    """The median time of a whole process."""

    def run() -> None:
        subprocess.run(command(words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return statistics.median(timed(run) for _ in range(repeats))


def gibibytes(words: Sequence[str]) -> float:
    """The most resident memory of a process, by a process of its own that has no other child."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command(words)], check=True, capture_output=True, text=True)
    return int(done.stdout) / 2**20 / (1024 if sys.platform == "darwin" else 1)


def command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "lin", *words[1:]] if words[0] == "lin" else list(words)


def lin(*words: str) -> None:
    subprocess.run(command(["lin", *words]), check=True, stdout=subprocess.DEVNULL)


def scan_and_hash(paths: list[str]) -> float:
    return inner_seconds(SCAN, [paths, COLUMNS])


def inner_seconds(code: str, given: object, repeats: int = REPEATS) -> float:
    """The median time of a query, each in a new process as a diff is, from where it has imported the engine."""
    words = [sys.executable, "-c", code, json.dumps(given)]
    return statistics.median(
        float(subprocess.run(words, check=True, capture_output=True, text=True).stdout) for _ in range(repeats)
    )


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def make_project() -> None:
    lin("init", "--name", "bench")
    lin("add", "big", "data/big", "--key", "id")


def make_table(path: Path, rows: int) -> list[list[str]]:
    """Four versions: whole, one file changed, all changed in their order, all changed and shuffled."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(0)
    size = rows // FILES
    parts = make_parts(rows, random)

    def change(part: pa.Table, share: float) -> pa.Table:
        x = part["x2"].to_numpy().copy()
        x[random.random(len(x)) < share] += 1
        return part.set_column(3, "x2", pa.array(x))

    def rewrite(version: int, numbers: Sequence[int]) -> None:
        removed = [files[n] for n in numbers]
        for n in numbers:
            files[n] = write_file(path, f"v{version}-{random.integers(10**9)}.parquet", parts[n])
        commit(path, version, [*map(remove, removed), *(files[n] for n in numbers)])
        versions.append([str(path / file["add"]["path"]) for file in files])

    files = [write_file(path, f"v0-{n}.parquet", part) for n, part in enumerate(parts)]
    versions = [[str(path / file["add"]["path"]) for file in files]]
    commit(path, 0, [*head_actions(COLUMNS), *files])
    parts[7] = change(parts[7], 0.002)
    rewrite(1, [7])
    parts = [change(part, 0.01) for part in parts]
    rewrite(2, range(FILES))
    parts = [change(part, 0.01).take(random.permutation(size)) for part in parts]
    rewrite(3, range(FILES))
    return versions


def make_parts(rows: int, random) -> list:
    """The rows of each file, in the order of their keys."""
    import numpy as np
    import pyarrow as pa

    size = rows // FILES
    return [
        pa.table({"id": np.arange(n * size, (n + 1) * size), **{x: random.normal(size=size) for x in COLUMNS[1:]}})
        for n in range(FILES)
    ]


def head_actions(columns: list[str]) -> list[dict]:
    kinds = [{"name": c, "type": "long" if c == "id" else "double", "nullable": True, "metadata": {}} for c in columns]
    metadata = {
        "id": "bench",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": kinds}),
        "partitionColumns": [],
        "configuration": {},
    }
    return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]


def write_file(path: Path, name: str, rows) -> dict:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path / name)
    least, most = pc.min_max(rows["id"]).as_py().values()
    stats = {"numRecords": len(rows), "minValues": {"id": least}, "maxValues": {"id": most}, "nullCount": {"id": 0}}
    told = {"path": name, "size": (path / name).stat().st_size, "partitionValues": {}, "dataChange": True}
    return {"add": {**told, "modificationTime": int(time.time() * 1000), "stats": json.dumps(stats)}}


def remove(added: dict) -> dict:
    now = int(time.time() * 1000)
    return {"remove": {"path": added["add"]["path"], "deletionTimestamp": now, "dataChange": True}}


def commit(path: Path, version: int, actions: list[dict]) -> None:
    log = path / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    info = {"commitInfo": {"timestamp": int(time.time() * 1000), "operation": "WRITE"}}
    (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, [info, *actions])))


if __name__ == "__main__":
    sys.exit(main())
