"""Any program as a recorded run: output, exit code, signals, and what the program and the record get to know."""

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lin.data.history import read_history
from lin.data.tables import Table
from lin.errors import NotFoundError
from lin.project import Project
from lin.records import Environment, FileRef, Sealed, decode, digest
from lin.runs.execute import is_same_python, run_command
from lin.runs.query import RunInfo, read_run

EveryRun = Callable[..., list[RunInfo]]


class Sink(io.BytesIO):
    """Takes output as a terminal or pipe does; after `closed_after` bytes nobody reads it any more."""

    def __init__(self, closed_after: int | None = None) -> None:
        super().__init__()
        self._closed_after = closed_after

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        if self._closed_after is not None and self.tell() >= self._closed_after:
            raise BrokenPipeError
        return super().write(data)


def run(project: Project, *argv: str, **options: object) -> tuple[RunInfo, Sealed]:
    run_id, sealed = run_command(project, argv, folder=project.root, **options)  # type: ignore[arg-type]
    return read_run(project.store, run_id), sealed


def shell(project: Project, script: str, **options: object) -> tuple[RunInfo, Sealed]:
    return run(project, "sh", "-c", script, **options)


def output_of(project: Project, run_id: str) -> bytes:
    return project.store.runs.file(run_id, "output.log") or b""


# --- output and exit code ---------------------------------------------------------------------------------------------


def test_output_is_passed_through_and_kept(project: Project) -> None:
    out, err = Sink(), Sink()
    info, sealed = shell(project, "echo to out; sleep 0.1; echo to err >&2", stdout=out, stderr=err)
    assert (out.getvalue(), err.getvalue()) == (b"to out\n", b"to err\n")
    assert output_of(project, info.id) == b"to out\nto err\n"
    assert sealed.output is not None
    assert (info.status, info.exit_code, sealed.output.bytes) == ("finished", 0, 14)


def test_a_megabyte_of_bytes_comes_through_whole(project: Project) -> None:
    script = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4096)"
    out = Sink()
    info, _ = run(project, sys.executable, "-c", script, stdout=out)
    assert out.getvalue() == output_of(project, info.id) == bytes(range(256)) * 4096


def test_a_sink_that_cannot_take_more_does_not_stop_the_program_or_the_record(project: Project) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        info, _ = run(project, sys.executable, "-c", "print('x' * 1_000_000)", stdout=full)
    assert (len(output_of(project, info.id)), info.exit_code) == (1_000_001, 0)


def test_a_program_may_close_its_output_and_go_on(project: Project) -> None:
    info, _ = shell(project, "echo early; exec >&-; sleep 0.1; echo late >&2; exec 2>&-; sleep 0.1; exit 3")
    assert (output_of(project, info.id), info.exit_code) == (b"early\nlate\n", 3)


def test_a_reader_that_goes_away_does_not_stop_the_program_or_the_record(project: Project) -> None:
    out = Sink(closed_after=1)
    info, _ = shell(project, "for i in 1 2 3; do echo $i; sleep 0.05; done", stdout=out)
    assert out.getvalue() == b"1\n"
    assert (output_of(project, info.id), info.exit_code) == (b"1\n2\n3\n", 0)


@pytest.mark.parametrize("code", [1, 3, 130, 255])
def test_the_exit_code_is_the_programs_own(project: Project, code: int) -> None:
    info, _ = shell(project, f"exit {code}")
    assert (info.exit_code, info.status) == (code, "interrupted" if code == 130 else "failed")


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGKILL, "failed"),
        (signal.SIGSEGV, "failed"),
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "interrupted"),
    ],
)
def test_a_signal_is_told_as_a_shell_does(project: Project, number: signal.Signals, status: str) -> None:
    info, _ = shell(project, f"kill -{number.value} $$; sleep 5")
    assert (info.exit_code, info.status) == (128 + number, status)


def test_a_missing_program_is_not_found_and_nothing_is_recorded(project: Project, every_run: EveryRun) -> None:
    for name in ("no-such-program-here", "./no-such", ""):
        with pytest.raises(NotFoundError, match="there is no program"):
            run(project, name)
    assert every_run(project) == []


def test_a_program_that_cannot_start_is_a_failed_run(project: Project) -> None:
    script = project.root / "broken"
    script.write_bytes(b"\x7fELF not really")
    script.chmod(0o755)
    info, _ = run(project, "./broken")
    assert (info.status, info.exit_code) == ("failed", 126)
    assert "cannot start" in (info.error or "")


def test_a_path_is_looked_up_from_the_folder_that_the_program_runs_in(project: Project, tmp_path: Path) -> None:
    script = project.root / "train.sh"
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before = Path.cwd()
    os.chdir(elsewhere)
    try:
        info, _ = run(project, "./train.sh")
    finally:
        os.chdir(before)
    assert output_of(project, info.id).strip().decode() == str(project.root.resolve())


def test_the_run_is_told_by_name_command_folder_and_kind(project: Project) -> None:
    folder = project.root / "sub"
    folder.mkdir()
    run_id, _ = run_command(project, ["/bin/sh", "-c", "pwd"], folder=folder)
    info = read_run(project.store, run_id)
    assert (info.kind, info.name, info.folder, info.command) == ("command", "sh", "sub", ["/bin/sh", "-c", "pwd"])
    assert output_of(project, run_id).decode().strip() == str(folder.resolve())
    named, _ = shell(project, ":", name="nightly", experiment="wine", sweep="s" * 32, params={"alpha": 0.1})
    assert (named.name, named.experiment, named.sweep, named.params) == ("nightly", "wine", "s" * 32, {"alpha": 0.1})


def test_arguments_that_are_no_text_reach_the_program_as_they_are(project: Project) -> None:
    info, _ = run(project, "printf", "%s", os.fsdecode(b"caf\xe9"))
    assert (output_of(project, info.id), info.command[2]) == (b"caf\xe9", r"caf\udce9")


# --- what the record may know -----------------------------------------------------------------------------------------


def test_secrets_in_the_command_are_not_recorded(project: Project) -> None:
    secrets = ["hunter2hunter2", "tok3n-v4lue", "s3cr3t-in-url"]
    argv = ["--password", secrets[0], f"--api-key={secrets[1]}", f"https://bob:{secrets[2]}@host/x"]
    info, _ = run(project, "true", *argv)
    assert info.command[0] == "true"
    for path in project.store_root.rglob("*"):
        if path.is_file():
            assert not [s for s in secrets if s.encode() in path.read_bytes()], path


def test_its_peak_memory_is_in_the_record(project: Project) -> None:
    """Measured from a small process: what this one has counts where it started the program itself."""
    peaks = []
    for program in ("sleep 1", f"{sys.executable} -c 'b\"x\" * 150_000_000'"):
        answer, _ = supervise(project, f"exec {program}").communicate(timeout=30)
        sealed = project.store.runs.sealed(answer.split()[0])
        assert sealed is not None
        peaks.append(sealed.peak_memory_bytes or 0)
    assert 0 < peaks[0] < 10_000_000
    assert 150_000_000 < peaks[1] < 300_000_000


# --- what it opens ----------------------------------------------------------------------------------------------------

STEP = """
import os
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
rows = DeltaTable("data/housing").to_pyarrow_table()
write_deltalake("data/copy", pa.table(rows).select(["ID"]))
open("a.csv").read()
with open("plots.png", "wb") as file:
    file.write(b"dots")
os._exit(0)  # some ends of a Python that read a dataset of delta-rs are aborted by pyarrow, with lin and without
"""


def test_what_a_python_program_opens_is_in_its_record(housing: Project) -> None:
    (housing.root / "a.csv").write_bytes(b"1")
    (housing.root / "step.py").write_text(STEP)
    info, sealed = shell(housing, f"{sys.executable} step.py")
    assert (info.status, output_of(housing, info.id)) == ("finished", b"")
    assert [(table.table, table.version, table.rows) for table in info.table_inputs] == [("housing", 0, 60)]
    assert [(table.table, table.version, table.rows) for table in info.table_outputs] == [("copy", 0, 60)]
    assert info.file_inputs == [FileRef(path="a.csv", sha256=digest(b"1"), bytes=1)]
    assert info.file_outputs == [FileRef(path="plots.png", sha256=digest(b"dots"), bytes=4)]
    assert (sealed.inputs, sealed.outputs) == (info.inputs, info.outputs)
    copy = Table("copy", housing.root / "data/copy")
    assert [version.run for version in read_history(copy)] == [info.id]


def test_what_lin_itself_records_is_not_told_twice(housing: Project) -> None:
    script = "import lin; from deltalake import DeltaTable; lin.read_table('housing')"
    info, _ = run(housing, sys.executable, "-c", f"{script}; DeltaTable('data/housing').file_uris()")
    assert (info.exit_code, len(info.inputs), len(info.table_inputs)) == (0, 1, 1)


def test_without_capture_nothing_is_seen_not_even_by_a_run_around_it(project: Project) -> None:
    (project.root / "a.csv").write_bytes(b"1")
    script = "import os; open('a.csv'); print(os.environ.get('PYTHONPATH'), os.environ.get('LIN_CAPTURE'))"
    info, _ = run(project, sys.executable, "-c", script, capture=False)
    assert (info.inputs, output_of(project, info.id)) == ([], b"None None\n")
    inner = f"{SUPERVISE.replace('folder=project.root', 'folder=project.root, capture=False')}"
    outer, _ = run(project, sys.executable, "-c", inner, str(project.root), sys.executable, "-c", script)
    inner_id = output_of(project, outer.id).split()[0].decode()
    assert (outer.inputs, output_of(project, inner_id)) == ([], b"None None\n")


def test_what_lin_keeps_for_its_records_is_no_input(project: Project) -> None:
    (project.root / "a.csv").write_bytes(b"1")
    take = "import pathlib, lin.project as p, lin.runs.record as r; r.capture(p.open_project(pathlib.Path()))"
    info, _ = run(project, sys.executable, "-c", f"import lin; lin.log_artifact('a.csv'); {take}")
    assert (info.exit_code, info.inputs, len(info.artifacts)) == (0, [], 1)


def test_what_cannot_be_pinned_does_not_lose_the_run(housing: Project) -> None:
    script = "from deltalake import DeltaTable; import shutil; DeltaTable('data/housing').file_uris()"
    info, _ = run(housing, sys.executable, "-c", f"{script}; shutil.rmtree('data/housing')")
    assert (info.status, info.inputs) == ("finished", [])
    assert "data/housing@0: " in info.tags["lin.unpinned"]


# --- what the program may know ----------------------------------------------------------------------------------------


def test_the_program_knows_its_run_and_store(project: Project) -> None:
    info, _ = shell(project, 'echo "$LIN_RUN $LIN_STORE"')
    assert output_of(project, info.id).decode().split() == [info.id, str(project.store_root.resolve())]


def test_the_program_reads_what_is_typed(project: Project) -> None:
    command = [sys.executable, "-c", SUPERVISE, str(project.root), "cat"]
    done = subprocess.run(command, input="typed", capture_output=True, text=True, check=True)
    assert output_of(project, done.stdout.split()[0]) == b"typed"


def test_what_the_program_logs_is_in_its_run(project: Project) -> None:
    script = "import lin; lin.log_param('alpha', 0.1); lin.log_metric('rmse', 4.5)\n"
    script += "with lin.start_run(params={'beta': 2}): lin.set_tag('team', 'risk')"
    info, _ = run(project, sys.executable, "-c", script)
    assert (info.status, info.params, info.metrics) == ("finished", {"alpha": 0.1, "beta": 2}, {"rmse": 4.5})
    assert info.tags == {"team": "risk"}


def test_the_environment_of_a_program_that_is_python_is_its_own(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other" / "bin"
    other.mkdir(parents=True)
    (other / "python3").write_text(f'#!/bin/sh\nOMP_NUM_THREADS=7 exec {shlex.quote(sys.executable)} "$@"\n')
    (other / "python3").chmod(0o755)
    environments = []
    for program in (str(other / "python3"), sys.executable, "true"):
        info, _ = run(project, program, *(["-c", "pass"] if program != "true" else []))
        assert info.environment is not None
        environments.append(decode(project.store.blobs.read(info.environment), Environment, where="it"))
    assert [e.variables.get("OMP_NUM_THREADS") for e in environments] == ["7", None, None]


def test_interpreters_are_the_same_only_with_the_same_packages(tmp_path: Path) -> None:
    for name in ("a/bin", "b/bin"):
        (tmp_path / name).mkdir(parents=True)
    base, other = tmp_path / "python3.11", tmp_path / "a/bin/python3.12"
    base.touch()
    other.touch()
    links = [tmp_path / place for place in ("a/bin/python", "a/bin/python3", "b/bin/python")]
    for link in links:
        link.symlink_to(base)
    assert is_same_python(links[0], links[1])
    assert not is_same_python(links[0], links[2])  # two virtual environments of one Python
    assert not is_same_python(links[0], other)  # two Pythons in one folder


# --- signals to lin itself --------------------------------------------------------------------------------------------

SUPERVISE = """
import sys
from pathlib import Path
from lin.project import open_project
from lin.runs.execute import run_command
project = open_project(Path(sys.argv[1]))
run_id, sealed = run_command(project, sys.argv[2:], folder=project.root)
print(run_id, sealed.exit_code, sealed.status)
"""


def supervise(project: Project, script: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SUPERVISE, str(project.root), "sh", "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def test_sigterm_reaches_the_program_which_may_finish_its_work(project: Project) -> None:
    ready, told = project.root / "ready", project.root / "told"
    process = supervise(
        project, f"trap 'echo bye; touch {told}; exit 7' TERM; touch {ready}; while :; do sleep 0.05; done"
    )
    wait_for(ready)
    process.send_signal(signal.SIGTERM)
    answer, _ = process.communicate(timeout=20)
    run_id, code, status = answer.split()
    assert (code, status, told.exists()) == ("7", "failed", True)
    assert output_of(project, run_id) == b"bye\n"


def test_sigterm_that_ends_the_program_interrupts_the_run(project: Project) -> None:
    ready = project.root / "ready"
    process = supervise(project, f"touch {ready}; exec sleep 30")
    wait_for(ready)
    process.send_signal(signal.SIGTERM)
    answer, _ = process.communicate(timeout=20)
    assert answer.split()[1:] == ["143", "interrupted"]


def test_ctrl_c_is_the_programs_to_answer(project: Project) -> None:
    ready = project.root / "ready"
    process = supervise(project, f"trap 'exit 5' INT; touch {ready}; while :; do sleep 0.05; done")
    wait_for(ready)
    process.send_signal(signal.SIGINT)  # to lin alone: it stays until the program ends
    time.sleep(0.2)
    assert process.poll() is None
    process.terminate()
    answer, _ = process.communicate(timeout=20)
    assert answer.split()[1:] == ["143", "interrupted"]


def test_ctrl_c_on_a_terminal_ends_the_program_and_interrupts_the_run(project: Project) -> None:
    ready = project.root / "ready"
    process = supervise(project, f"touch {ready}; exec sleep 30")
    wait_for(ready)
    os.killpg(process.pid, signal.SIGINT)
    answer, _ = process.communicate(timeout=20)
    assert answer.split()[1:] == ["130", "interrupted"]


def test_a_terminal_that_is_closed_interrupts_the_run(project: Project) -> None:
    ready = project.root / "ready"
    process = supervise(project, f"touch {ready}; exec sleep 30")
    wait_for(ready)
    process.send_signal(signal.SIGHUP)
    answer, _ = process.communicate(timeout=20)
    assert answer.split()[1:] == ["129", "interrupted"]


def test_a_signal_that_was_ignored_stays_so_for_the_program(project: Project) -> None:
    command = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", sys.executable, "-c", SUPERVISE, str(project.root)]
    script = ["sh", "-c", "kill -HUP $$; kill -INT $$; exit 3"]
    done = subprocess.run([*command, *script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["3", "failed"]


def test_a_killed_lin_leaves_an_abandoned_run(project: Project, every_run: EveryRun) -> None:
    ready = project.root / "ready"
    process = supervise(project, f"echo $$ > {ready}.new; mv {ready}.new {ready}; exec sleep 30")
    wait_for(ready)
    assert [info.status for info in every_run(project)] == ["running"]
    process.kill()
    os.kill(int(ready.read_text()), signal.SIGKILL)
    process.communicate(timeout=20)
    assert [info.status for info in every_run(project)] == ["abandoned"]


def test_output_that_cannot_be_kept_is_told_and_passed_on_all_the_same(project: Project) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    code = limit + SUPERVISE.replace("folder=project.root", "folder=project.root, stdout=sys.stderr.buffer")
    command = [sys.executable, "-c", code, str(project.root), "sh", "-c", "head -c 1000000 /dev/zero; exit 3"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    run_id, exit_code, _ = done.stdout.decode().split()
    info = read_run(project.store, run_id)
    assert (len(done.stderr), exit_code, len(output_of(project, run_id))) == (1_000_000, "3", 100_000)
    assert "its output was not kept whole: " in (info.error or "")


def test_an_interrupt_ends_the_wait_for_what_the_program_left_behind(project: Project) -> None:
    left = project.root / "left"
    process = supervise(project, f"echo early; sleep 30 & echo $! > {left}.new; mv {left}.new {left}; exit 4")
    wait_for(left)
    try:
        time.sleep(0.5)
        assert process.poll() is None  # the output is still held, as a pipe in a shell would be
        process.send_signal(signal.SIGINT)
        answer, _ = process.communicate(timeout=10)
    finally:
        os.kill(int(left.read_text()), signal.SIGKILL)
    run_id, code, status = answer.split()
    assert (code, status, output_of(project, run_id)) == ("4", "failed", b"early\n")
