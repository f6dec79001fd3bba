"""An S3-compatible store for tests, by moto, on loopback; it can be stopped and comes back at the same address."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from xml.etree import ElementTree

from pydantic import SecretStr

from portal.core.ids import uuid7
from portal.settings.files import S3Settings


class S3Server:
    """A running store; `bucket` makes an empty bucket and gives the settings for it."""

    def __init__(self) -> None:
        self._port = 0
        self.start()

    def start(self) -> None:
        """At the address of before, if it ran already; what it had is there."""
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        """Nobody answers any more."""
        self._server.stop()

    def bucket(self, **more: object) -> S3Settings:
        """A new bucket."""
        name = f"portal-test-{uuid7()}"  # moto keeps one world for all servers of a process
        self._ask("PUT", f"/{name}")
        known = {"bucket": name, "endpoint": f"http://127.0.0.1:{self._port}", "key": "a", "secret": SecretStr("b")}
        return S3Settings.model_validate({**known, **more})

    def objects(self, bucket: str) -> Mapping[str, int]:
        """The names of what is there, and how many bytes each has."""
        listed = ElementTree.fromstring(self._ask("GET", f"/{bucket}?list-type=2"))  # noqa: S314 -- our own server
        space = listed.tag.partition("}")[0] + "}"
        return {
            one.findtext(f"{space}Key", ""): int(one.findtext(f"{space}Size", "0"))
            for one in listed.iter(f"{space}Contents")
        }

    def begin(self, bucket: str, key: str) -> None:
        """An upload in parts that nobody goes on with; moto says of each that it was begun in 2010."""
        self._ask("POST", f"/{bucket}/{key}?uploads")

    def unfinished(self, bucket: str) -> list[str]:
        """The keys of such uploads."""
        listed = ElementTree.fromstring(self._ask("GET", f"/{bucket}?uploads"))  # noqa: S314 -- our own server
        space = listed.tag.partition("}")[0] + "}"
        return sorted(one.findtext(f"{space}Key", "") for one in listed.iter(f"{space}Upload"))

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise AssertionError(f"{method} {path}: {answer.status} {body!r}")
        return body


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Raises ImportError where moto is not installed."""
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()
