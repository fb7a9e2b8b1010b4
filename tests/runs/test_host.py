import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from lin.errors import NotFoundError
from lin.runs.host import Seen, capture_host, capture_process, is_alive, parse_stat

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def child():
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def here():
    return capture_process()


def but(process, **changes):
    return msgspec.structs.replace(process, **changes)


def test_the_machine():
    host = capture_host()
    assert host.name == platform.node()
    assert host.system.startswith(platform.system())
    assert host.cores == os.cpu_count()
    assert host.memory_bytes > 1 << 20
    assert host.cpu


def test_this_process(here):
    assert here.pid == os.getpid()
    assert here.host.startswith(platform.node())
    assert here.boot
    assert here == capture_process(os.getpid())
    assert is_alive(here, capture_process()) is True


def test_no_process(child):
    child.kill()
    child.wait()
    with pytest.raises(NotFoundError, match=f"there is no process {child.pid}"):
        capture_process(child.pid)


def test_a_child_lives_is_a_zombie_and_is_gone(child, here):
    process = capture_process(child.pid)
    assert is_alive(process, here) is True
    child.kill()
    deadline = time.monotonic() + 5
    while is_alive(process, here) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_alive(process, here) is False  # a zombie: nobody has waited for it yet
    child.wait()
    assert is_alive(process, here) is False


def test_a_reused_pid_is_another_process(child, here):
    process = capture_process(child.pid)
    assert is_alive(but(process, started=process.started - 1), here) is False


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**70])
def test_a_pid_that_cannot_be_is_dead(here, pid):
    assert is_alive(but(here, pid=pid), here) is False


def test_what_cannot_be_known(here):
    assert is_alive(but(here, host="elsewhere"), here) is None
    assert is_alive(but(here, host="elsewhere", boot="other"), here) is None
    assert is_alive(but(here, pid_namespace="pid:[1]"), here) is None
    assert is_alive(but(here, boot=""), but(here, boot="")) is None


def test_another_boot_of_one_machine_is_dead(here):
    first = but(here, host="name#0123", pid_namespace="pid:[4026531836]")
    assert is_alive(but(first, boot="other"), first) is False
    assert is_alive(but(first, boot="other", pid_namespace="pid:[1]"), first) is None
    assert is_alive(but(first, boot=""), first) is None
    nameless = but(first, host="name")
    assert is_alive(but(nameless, boot="other"), nameless) is None


@linux
def test_the_machine_id_is_not_told(here):
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except FileNotFoundError:
        pytest.skip("no machine id here")
    assert machine
    assert machine not in here.host
    assert "#" in here.host


def test_a_command_name_may_look_like_fields():
    after = b" ".join(str(n).encode() for n in range(4, 53))
    assert parse_stat(b"7 (a) R (b) 1 ) S " + after + b"\n") == Seen(started=22, ended=False)
    assert parse_stat(b"7 (python) Z " + after) == Seen(started=22, ended=True)


@linux
def test_a_real_command_name_with_parentheses(tmp_path, here):
    program = tmp_path / "a) Z (b"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"])
    try:
        assert is_alive(capture_process(child.pid), here) is True
    finally:
        child.kill()
        child.wait()


@linux
def test_no_psutil_is_imported():
    code = "import sys, lin.runs.host as h; h.capture_process().pid + h.capture_host().cores"
    code += "; print('psutil' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
