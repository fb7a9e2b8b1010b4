"""The machine and the process of a run, and whether such a process still lives. No clock is ever asked.

A host is told by its name and, where there is one, a digest of its machine id: `name#digest`. Boot ids are
unique, so within one boot and one pid namespace a pid and a start time mean one process for ever.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from lin.errors import NotFoundError
from lin.records import Host, Process
from lin.runs import probe

_INITIAL_NAMESPACE = "pid:[4026531836]"
"""Linux gives the first pid namespace of every boot this number; any other is a container's."""
_LARGEST_PID = 2**31 - 1
_STATE, _STARTED = 0, 19
"""Places in `/proc/PID/stat` after the command name, which itself may hold spaces and parentheses."""


def capture_host() -> Host:
    """The machine: its name, system with release, CPU model, logical cores and physical memory."""
    machine = os.uname()
    return Host(
        name=machine.nodename,
        system=f"{machine.sysname} {machine.release}",
        cpu=_cpu_model() or machine.machine,
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def capture_process(pid: int | None = None) -> Process:
    """This process, or the one with `pid`. `started` is in ticks since boot (macOS: seconds since 1970).

    Raises:
        NotFoundError: there is no such process.
    """
    pid = os.getpid() if pid is None else pid
    seen = _look_at(pid)
    if seen is None:
        raise NotFoundError(f"there is no process {pid} here that may be looked at")
    return Process(
        host=_host_identity(),
        boot=_boot(),
        pid_namespace=_pid_namespace(),
        pid=pid,
        started=seen.started,
    )


def is_alive(process: Process, here: Process) -> bool | None:
    """Whether `process` still runs, seen from the process `here` (a fresh `capture_process()`).

    True and False are certain. None: another host, another pid namespace, or a process hidden from us; also
    another boot, where the host has no machine id or a container is involved: images share both.
    """
    if process.host != here.host:
        return None
    if process.boot != here.boot:
        return False if _surely_one_machine(process, here) else None
    if process.pid_namespace != here.pid_namespace or not here.boot:
        return None
    if not 0 < process.pid <= _LARGEST_PID:
        return False
    seen = _look_at(process.pid)
    if seen is None:
        return None if _exists(process.pid) else False
    return seen.started == process.started and not seen.ended


def _surely_one_machine(a: Process, b: Process) -> bool:
    outside_containers = {a.pid_namespace, b.pid_namespace} <= {_INITIAL_NAMESPACE, ""}
    return "#" in a.host and bool(a.boot and b.boot) and outside_containers


# --- what the system says ---------------------------------------------------------------------------------


class Seen(NamedTuple):
    """A process in the system's list: a zombie stays there when it has ended."""

    started: float
    ended: bool


def parse_stat(stat: bytes) -> Seen:
    """Read a `/proc/PID/stat`; the start is in clock ticks since boot."""
    fields = stat.rpartition(b")")[2].split()
    return Seen(started=float(fields[_STARTED]), ended=fields[_STATE] in {b"Z", b"X", b"x"})


def _look_at(pid: int) -> Seen | None:
    """The process of that number; None where there is none, or it is hidden from us."""
    if sys.platform == "darwin":
        return _look_on_macos(pid)
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_bytes())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _look_on_macos(pid: int) -> Seen | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return Seen(started=process.create_time(), ended=process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host_identity() -> str:
    name = os.uname().nodename
    machine = _machine_id()
    return f"{name}#{hashlib.sha256(machine.encode()).hexdigest()[:16]}" if machine else name


def _machine_id() -> str:
    if sys.platform == "darwin":
        return _platform_uuid()
    return _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id")


def _platform_uuid() -> str:
    import subprocess

    command = ["/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = [line for line in answer.stdout.splitlines() if "IOPlatformUUID" in line]
    return lines[0].rpartition("=")[2].strip(' "') if lines else ""


def _boot() -> str:
    if sys.platform == "darwin":
        return probe.sysctl("kern.bootsessionuuid").partition(":")[2].strip()
    return _read("/proc/sys/kernel/random/boot_id")


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _cpu_model() -> str:
    if sys.platform == "darwin":
        return probe.sysctl("machdep.cpu.brand_string").partition(":")[2].strip()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
