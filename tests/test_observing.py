"""What a Portal tells of itself when a part of it is away."""

from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from portal.app.observing import Observing, spread
from portal.core.backlog import Waiting
from portal.core.bus import Bus
from portal.core.supervisor import Supervisor
from portal.errors import StorageError
from portal.observability.figures import written
from portal.observability.journal import Journal
from portal.observability.levels import Levels
from portal.observability.meters import Meters
from portal.observability.process import Process
from portal.routing.registry import Registry
from portal.settings import Settings
from portal.storage.open import open_storage


class Away:
    """A backlog whose database does not answer."""

    async def waiting(self) -> Waiting:
        raise StorageError("The database does not answer.")


async def test_a_database_that_is_away_keeps_nothing_else_from_being_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_storage(settings) as storage:
        observing = Observing(
            meters=Meters(),
            process=Process(data_dir=tmp_path / "gone"),
            storage=replace(storage, backlog=Away()),
            registry=Registry(settings=settings),
            bus=Bus(),
            supervisor=Supervisor(changed=lambda: None),
            journal=Journal(),
            levels=Levels(),
        )
        observing.channels = lambda: [{"name": "slack", "state": "up", "events": 1, "repairs": 0}]

        families = {one.name: one for one in text_string_to_metric_families(written(await observing.families()))}
        now = await observing.now()

    assert [one.value for one in families["portal_database_up"].samples] == [0]
    assert "portal_approvals_waiting" not in families
    assert "portal_disk_free_bytes" not in families
    assert [one.value for one in families["portal_channel_up"].samples] == [1]
    assert (now["waiting"], now["database"]["answers"], now["process"]["disk_free"]) == (None, False, None)
    assert now["channels"][0]["unsent"] == 0


def test_how_far_figures_lie_apart() -> None:
    assert spread([]) == {"median": None, "p99": None, "worst": None}
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "p99": 3.0, "worst": 3.0}
