"""An import is worked on by the server that has the upload, whichever one is asked."""

from typing import Any

import aiohttp
from tests.cluster.conftest import Server
from tests.cluster.test_shared import until
from tests.exchange import samples


async def _brought(api: aiohttp.ClientSession, **query: str) -> str:
    async with api.post("/portal/v1/imports", data=samples.chatgpt(), params=query) as answer:
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])


async def _reaches(api: aiohttp.ClientSession, import_id: str, status: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def there() -> bool:
        async with api.get(f"/portal/v1/imports/{import_id}") as answer:
            found.update(await answer.json())
        return bool(found["status"] == status)

    await until(there)
    return found


async def test_what_comes_to_a_server_without_the_duty_is_brought_in(pair: tuple[Server, Server]) -> None:
    first, second = pair
    done = await _reaches(first.api, await _brought(second.api, start="true"), "done")
    assert done["report"]["whole"]


async def test_an_import_is_started_and_deleted_by_way_of_another_server(pair: tuple[Server, Server]) -> None:
    first, second = pair
    for here, there in (pair, (second, first)):
        import_id = await _brought(here.api)
        await _reaches(there.api, import_id, "ready")
        async with there.api.post(f"/portal/v1/imports/{import_id}/start") as answer:
            assert answer.status == 200
        await _reaches(there.api, import_id, "done")
    waiting = await _brought(first.api)
    await _reaches(second.api, waiting, "ready")
    folder = first.test.portal.settings.data_dir / "imports"
    assert [one.name for one in folder.iterdir()] == [waiting]
    async with second.api.delete(f"/portal/v1/imports/{waiting}") as answer:
        assert answer.status == 200

    async def swept() -> bool:
        return not list(folder.iterdir())

    await until(swept)
