"""The least that a gateway in Python can do, as a reference where nginx is not installed: raw ASGI that looks at
nothing and relays what comes."""

import argparse
import sys
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from portal.backends.http import Deadlines, HttpClient


class Relay:
    def __init__(self, upstream: str) -> None:
        self._client = HttpClient(server="upstream", url=upstream, deadlines=Deadlines())

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        reply = await self._client.open(scope["method"], scope["path"], body or None)
        headers = [(b"content-type", reply.content_type.encode())]
        if length := reply.headers.get("content-length"):
            headers.append((b"content-length", length.encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        while piece := await reply.chunk():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        reply.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    relay = Relay(f"http://{urlsplit(arguments.upstream).netloc}")
    uvicorn.run(relay, port=arguments.port, http="httptools", lifespan="off", access_log=False, log_level="error")


if __name__ == "__main__":
    sys.exit(main())
