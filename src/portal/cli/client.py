"""A small HTTP client of the running server: JSON in, JSON or a stream of events out."""

import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from portal.errors import PortalError
from portal.security.tls import trusting

JsonObject = dict[str, Any]
_CHUNK = 256 * 1024


class Client:
    """Speaks to one server with one token; a connection per call."""

    def __init__(self, *, url: str, token: str, timeout: float = 60, certificate: str = "") -> None:
        """`timeout` is in seconds, for plain calls; streams wait as long as the model needs. A server that shows what
        is in the file `certificate` is the right one, whatever its name."""
        self.url = url
        self._address = urlsplit(url)
        self._token = token
        self._timeout = timeout
        self._certificate = certificate

    def get(self, path: str, **query: object) -> JsonObject:
        """Fetch an object. Raises PortalError with the server's message and status."""
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def send(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Call, and decode the answer; an empty one is {}. Raises PortalError with the server's message and status."""
        with self._call(method, path, body, self._timeout) as answer:
            return self._decode(answer.read())

    def upload(self, path: Path, purpose: str) -> JsonObject:
        """Keep a file on the server; its object. Raises PortalError, also where the file cannot be read."""
        edge, name = f"portal-{token_hex(16)}", path.name.replace("\\", "").replace('"', "%22")
        head, tail = (part.encode("utf-8", "replace") for part in _form(edge, purpose, name))
        try:
            with path.open("rb") as file:
                length = len(head) + os.fstat(file.fileno()).st_size + len(tail)
                headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Content-Length": str(length)}
                content = chain([head], iter(lambda: file.read(_CHUNK), b""), [tail])
                with self._call("POST", "/v1/files", None, None, content=content, headers=headers) as answer:
                    return self._decode(answer.read())
        except OSError as error:
            raise PortalError(f"{path} cannot be read: {error.strerror}") from error

    def send_file(self, method: str, path: str, file: Path) -> JsonObject:
        """Send a file as the body of a call; the answer. Raises PortalError, also where the file cannot be read."""
        try:
            with file.open("rb") as content:
                length = str(os.fstat(content.fileno()).st_size)
                headers = {"Content-Type": "application/octet-stream", "Content-Length": length}
                pieces = iter(lambda: content.read(_CHUNK), b"")
                with self._call(method, path, None, None, content=pieces, headers=headers) as answer:
                    return self._decode(answer.read())
        except OSError as error:
            raise PortalError(f"{file} cannot be read: {error.strerror}") from error

    def download(self, path: str, to: Path) -> None:
        """Write what is there to a file. Raises PortalError, also where it cannot be written."""
        with self._call("GET", path, None, None) as answer:
            try:
                with to.open("wb") as file:
                    for piece in iter(lambda: answer.read(_CHUNK), b""):
                        file.write(piece)
            except OSError as error:
                raise PortalError(f"{to} cannot be written: {error.strerror or error}") from error

    def stream(self, path: str, body: JsonObject | None) -> Iterator[JsonObject]:
        """The events of a streamed answer; without a body, of one that is under way. Closing the iterator closes the
        connection.

        Raises:
            PortalError: the server refused, or the stream was cut.
        """
        with self._call("GET" if body is None else "POST", path, body, None) as answer:
            if answer.headers.get_content_type() != "text/event-stream":
                raise PortalError(f"{self.url} did not answer with a stream")
            for line in answer:
                name, _, value = line.decode("utf-8").strip().partition(":")
                if name == "data" and value.strip() != "[DONE]":
                    yield self._decode(value.strip().encode("utf-8"))

    @contextmanager
    def _call(
        self,
        method: str,
        path: str,
        body: JsonObject | None,
        timeout: float | None,
        *,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Generator[HTTPResponse, None, None]:
        connection = connect(self._address, timeout=timeout, certificate=self._certificate)
        headers = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        if body is not None:
            content = json.dumps(body).encode("utf-8")
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise self._refusal(answer)
            yield answer
        except (OSError, HTTPException) as error:
            raise PortalError(f"Portal at {self.url} does not answer: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _refusal(self, answer: HTTPResponse) -> PortalError:
        try:
            said = json.loads(answer.read())["error"]
            error = PortalError(str(said["message"]), code=said.get("code"), param=said.get("param"))
        except (ValueError, KeyError, TypeError):
            error = PortalError(f"{self.url} answered with status {answer.status}")
        error.status = answer.status
        return error

    def _decode(self, content: bytes) -> JsonObject:
        try:
            decoded = json.loads(content or b"{}")
        except ValueError as error:
            raise PortalError(f"{self.url} did not answer with JSON") from error
        return decoded if isinstance(decoded, dict) else {"data": decoded}


def connect(address: SplitResult, *, timeout: float | None, certificate: str = "") -> HTTPConnection:
    """A connection that is not open yet; `certificate` as for Client. Raises PortalError where that cannot be read."""
    host = address.hostname or ""
    if address.scheme != "https":
        return HTTPConnection(host, address.port, timeout=timeout)
    try:
        context = trusting(certificate) if certificate else None
    except OSError as error:
        raise PortalError(f"Portal's certificate {certificate} cannot be read: {error}") from error
    return HTTPSConnection(host, address.port, timeout=timeout, context=context)


def segment(value: str) -> str:
    """A name or id as one segment of a path."""
    return quote(value, safe="")


def _form(edge: str, purpose: str, name: str) -> tuple[str, str]:
    """What stands before and behind the file in the form of an upload."""
    part = f"--{edge}\r\nContent-Disposition: form-data; name="
    kind = "Content-Type: application/octet-stream"
    head = f'{part}"purpose"\r\n\r\n{purpose}\r\n{part}"file"; filename="{name}"\r\n{kind}\r\n\r\n'
    return head, f"\r\n--{edge}--\r\n"
