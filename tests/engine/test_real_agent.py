"""A real model in a real engine calls a person's own tool through a workspace, and answers from what it brought."""

import json
from pathlib import Path

import aiohttp
import pytest

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.testing.portal import open_test_portal

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PLUGIN = '''
from typing import Literal

from portal.tools.function import tool


@tool(risk="{risk}")
def get_weather(city: Literal["Lima", "Oslo"]) -> str:
    """Tell the weather in a city."""
    return {weather}[city]
'''
WEATHER = {"Lima": "cloudy, 18", "Oslo": "sunny, 21"}


def installed(data_dir: Path, risk: str) -> Path:
    (data_dir / "tools").mkdir(mode=0o700, parents=True)
    (data_dir / "tools" / "weather.py").write_text(PLUGIN.format(risk=risk, weather=WEATHER), encoding="utf-8")
    return data_dir


@pytest.mark.parametrize("risk", ["read", "write"])
async def test_it_asks_a_tool_and_answers_from_its_result(engine_url: str, tmp_path: Path, risk: str) -> None:
    data_dir = installed(tmp_path / "data", risk)
    settings = {"workspaces": {"home": {"tools": ["weather"]}}}
    backend = OpenAICompatible(Config(url=engine_url))
    async with (
        open_test_portal(data_dir, backends=[backend], toolsets=None, settings=settings) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        body = {"model": "home", "input": "What is the weather in Oslo?"}
        answer = await (await client.post("/v1/responses", json=body)).json()
        if risk == "write":
            (asked,) = answer["output"]
            yes = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
            body = {"model": "home", "input": [yes], "previous_response_id": answer["id"]}
            answer = await (await client.post("/v1/responses", json=body)).json()
        called, said = answer["output"]
        assert (called["name"], called["arguments"]) == ("get_weather", '{"city": "Oslo"}')
        assert (called["status"], called["output"]) == ("completed", "sunny, 21")
        assert said["content"][0]["text"] == "The result is: sunny, 21"


async def test_a_server_without_tools_is_held_to_a_schema_once_its_call_cannot_be_read(
    plain_engine_url: str, tmp_path: Path
) -> None:
    """The model was never taught this way of calling: its first call is broken, the next one cannot be."""
    data_dir = installed(tmp_path / "data", "read")
    settings = {"workspaces": {"home": {"tools": ["weather"]}}}
    backend = OpenAICompatible(Config(url=plain_engine_url))
    async with (
        open_test_portal(data_dir, backends=[backend], toolsets=None, settings=settings) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        body = {"model": "home", "input": 'Call weather with city "Oslo".'}
        answer = await (await client.post("/v1/responses", json=body)).json()
        broken, called, said = answer["output"]
    assert (broken["name"], broken["status"]) == ("get_weather", "failed")
    assert broken["error"].startswith("The arguments are not valid JSON")
    assert (called["name"], called["status"], called["error"]) == ("get_weather", "completed", None)
    assert called["output"] == WEATHER[json.loads(called["arguments"])["city"]]
    assert said["content"][0]["text"]
