"""Every route of the OpenAPI document called with what its schema allows and with what it forbids, the ids of things
that are there among them: no server error, and nothing unforeseen in the log."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import requests
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from tests.contract.belongings import Things, one_of_everything
from tests.interfaces.test_every_route import OURS, THEIRS
from tests.robustness.conftest import Faults

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import OWNER, user

if TYPE_CHECKING:
    from schemathesis import Case

schemathesis = pytest.importorskip("schemathesis", reason="THE OPENAPI DOCUMENT IS NOT TRIED: schemathesis is missing")
pytestmark = pytest.mark.slow
SEED = 20
SKIPPED = {
    "GET /portal/v1/events": "never ends",
    "POST /portal/v1/embedded/install": "installs software",
    "POST /portal/v1/pulls": "fetches a model from outside",
    "POST /portal/v1/mcp/servers": "starts whatever program it is told",
    "POST /portal/v1/mcp/servers/import": "starts whatever programs it is told",
}
UNAVAILABLE = (501, 502, 503, 504)
"""What a part that is not installed or not there is allowed to say, in an error body of ours."""
ALSO = {
    "previous_response_id": "response",
    "conversation": "conversation",
    "file_ids": "file",
    "ids": "conversation",
    "id": "item",
    "vector_store_ids": "collection",
    "collections": "collection",
    "source": "source",
    "image": "file",
}
"""Fields of bodies that hold ids, and of what."""


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[tuple[TestPortal, Things, str]]:
    """A running Portal, one of everything of an admin's there, and the admin's key."""
    backend = ScriptedBackend(models=["tiny"], default=echo)
    still = {"schedules": {"enabled": False}}
    with start_blocking_portal() as loop:
        opened = open_test_portal(tmp_path / "data", backends=[backend], settings=still)
        with loop.wrap_async_context_manager(opened) as running:
            storage, credentials = running.portal.storage, running.portal.credentials
            loop.call(storage.people.add, user(id=OWNER, role="admin"))
            things = loop.call(one_of_everything, storage)
            _, key = loop.call(credentials.create_key, OWNER, "admin")
            yield running, things, key


class Walk:
    """Calls, and what was wrong with their answers."""

    def __init__(self, url: str, keys: list[str], known: dict[str, str]) -> None:
        self.url, self.keys, self.known = url, keys, known
        self.random = Random(SEED)
        self.session = requests.Session()
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []

    @property
    def calls(self) -> int:
        return self.statuses.total()

    def call(self, case: "Case") -> None:
        self._fill(case.path_parameters)
        self._fill(case.body)
        headers = {"Authorization": f"Bearer {self.random.choice(self.keys)}"}
        answer = case.call(base_url=self.url, session=self.session, headers=headers, timeout=60)
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500 and not self._unavailable(answer):
            self.wrong.append(f"{answer.status_code} {case.as_curl_command()}\n    {answer.text[:300]}")

    @staticmethod
    def _unavailable(answer: requests.Response) -> bool:
        told = answer.request.method == "HEAD" or b'"error"' in answer.content
        return answer.status_code in UNAVAILABLE and told

    def _fill(self, tree: Any) -> None:
        """Put ids of things that are there in half of the places for them."""
        if isinstance(tree, list):
            for one in tree:
                self._fill(one)
        elif isinstance(tree, dict):
            for name, value in tree.items():
                if name in self.known and self.random.random() < 0.5:
                    tree[name] = [self.known[name]] if isinstance(value, list) else self.known[name]
                else:
                    self._fill(value)


def walked(walk: Walk, operation: Any, mode: Any, *, examples: int, number: int) -> None:
    """So many calls of one operation, fewer where there are no more ways to call it. Raises Unsatisfiable where there
    are none, as of what takes nothing that could be wrong."""

    @seed(number)
    @settings(max_examples=examples, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def calls(case: "Case") -> None:
        walk.call(case)

    calls()


def test_no_server_errors(portal: tuple[TestPortal, Things, str], faults: Faults, pytestconfig: pytest.Config) -> None:
    running, things, key = portal
    wanted: int = pytestconfig.getoption("--schema-calls")
    document = requests.get(f"{running.url}/openapi.json", headers=running.headers, timeout=60).json()
    schema = schemathesis.openapi.from_dict(document)
    every = [found.ok() for found in schema.get_all_operations()]
    operations = [one for one in every if f"{one.method.upper()} {one.path}" not in SKIPPED]
    assert len(every) - len(operations) == len(SKIPPED)
    known = {**OURS, **{name: asdict(things)[field] for name, field in {**THEIRS, **ALSO}.items()}}
    walk = Walk(running.url, [running.key, key], known)
    number, ways = SEED, [(one, mode) for one in operations for mode in schemathesis.GenerationMode]
    while walk.calls < wanted:
        share = max(1, (wanted - walk.calls) // len(ways))
        for way in list(ways):
            number += 1
            try:
                walked(walk, *way, examples=share, number=number)
            except Unsatisfiable:
                ways.remove(way)
        assert len(walk.wrong) < 20, "\n".join(walk.wrong)
    print(f"{walk.calls} calls of {len(operations)} operations: {dict(sorted(walk.statuses.items()))}")
    assert not walk.wrong, "\n".join(walk.wrong)
    assert not faults.seen, "\n".join(faults.seen[:10])
    assert requests.get(f"{running.url}/health", timeout=60).json()["status"] == "ok"
