"""What the tests of built-in tools start from: a conversation, the needs of families, a way out that ends here."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.settings import Settings
from portal.tools.families import Needs, built_in

Handler = Callable[[web.Request], Any]


class LoopbackFetcher:
    """A Fetcher of the reverse kind: real requests, to this machine only; what it refuses it remembers. `names` lead
    here too, for git."""

    def __init__(self, *names: str) -> None:
        self.names = ("127.0.0.1", *names)
        self.asked: list[OutboundRequest] = []
        self.refused: list[str] = []

    async def check(self, url: str) -> Sequence[str]:
        if urlsplit(url).hostname not in self.names:
            self.refused.append(url)
            raise ToolError(f"The address {url} is not allowed.")
        return ["127.0.0.1"]

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request)
        if urlsplit(request.url).hostname != "127.0.0.1":
            self.refused.append(request.url)
            raise ToolError(f"The address {request.url} is not allowed.")
        timeout = aiohttp.ClientTimeout(total=request.seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout, skip_auto_headers=["Content-Type"]) as session,
            session.request(
                request.method, request.url, headers=dict(request.headers), data=request.body or None
            ) as answer,
        ):
            body = await answer.read()
            return OutboundResponse(
                url=str(answer.url),
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=body[: request.largest],
                cut=len(body) > request.largest,
            )


@asynccontextmanager
async def site(routes: Mapping[str, Handler]) -> AsyncIterator[str]:
    """A server on loopback that answers these paths to every method; its address."""
    app = web.Application()
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def page(text: str, **options: Any) -> Handler:
    """A handler that answers with HTML."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html", **options)

    return answer


def conversation(tmp_path: Path, **fields: Any) -> ToolContext:
    """The context of a call in a conversation whose folder is there."""
    folder = tmp_path / "conversation"
    folder.mkdir(exist_ok=True)
    known: dict[str, Any] = {
        "owner": "usr_1",
        "call_id": "mcp_1",
        "response_id": "resp_1",
        "workspace": "auto",
        "conversation_id": "conv_1",
        "folder": folder,
    }
    return ToolContext(**{**known, **fields})


def family(name: str, tmp_path: Path, *, fetcher: LoopbackFetcher | None = None, **settings: Any) -> Toolset:
    """A family as Portal makes it. Only what it is given can be reached."""
    tree = Settings(_env_file=None, data_dir=tmp_path / "data", **settings)
    needs = Needs(
        settings=tree, sandbox=cast("Any", None), fetcher=fetcher or LoopbackFetcher(), files=cast("Any", None)
    )
    return built_in(needs, [name])[0]


async def refusal(toolset: Toolset, name: str, context: ToolContext, **arguments: Any) -> str:
    """What a call that cannot be done says."""
    try:
        done = await toolset.call(name, arguments, context)
    except ToolError as error:
        return error.message
    raise AssertionError(f"{name} did it: {done.text}")


async def call(toolset: Toolset, name: str, context: ToolContext, **arguments: Any) -> ToolResult:
    """A call that works."""
    done = await toolset.call(name, arguments, context)
    assert not done.failed, done.text
    return done
