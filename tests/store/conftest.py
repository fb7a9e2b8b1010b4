from datetime import UTC, datetime

import pytest

from lin.ids import new_id
from lin.records import Host, Process, Start


@pytest.fixture
def make_start():
    """Make a `start.json` record with a name."""

    def make(name: str = "a run", run_id: str | None = None) -> Start:
        return Start(
            id=run_id or new_id(),
            kind="program",
            name=name,
            started=datetime(2026, 6, 24, 12, tzinfo=UTC),
            actor="ann",
            lin="0.1.0",
            host=Host(name="host", system="Linux", cpu="cpu", cores=2, memory_bytes=1 << 30),
            process=Process(host="host", boot="b", pid_namespace="", pid=1, started=1.0),
        )

    return make
