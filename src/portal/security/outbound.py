"""The outbound guard: the only way by which tools reach the web for a model."""

import asyncio
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from portal import __version__
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.urls import read_url
from portal.errors import ToolError
from portal.security.decoding import Decoder
from portal.security.destination import Destination, Destinations, Resolver, system_resolver
from portal.security.own_hosts import OwnHosts
from portal.settings import Settings

_REDIRECTS = 5
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_OURS = {
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
"""Headers that say how a request is carried; a caller could lead it elsewhere by them."""
_FOR_ANYBODY = {"accept", "accept-language", "user-agent", "content-type"}
"""What another host may get to see after a redirect: any other header may be a credential."""
_COMPRESSED_MORE = 2**20
"""Bytes beyond the wanted ones that are read of a body that comes compressed."""


class Guard:
    """Implements Fetcher."""

    def __init__(self, settings: Settings, *, resolver: Resolver = system_resolver) -> None:
        """Raises SettingsError for an entry of tools.private_hosts that is none."""
        own = OwnHosts(settings.tools.private_hosts)
        self._destinations = Destinations(ports=settings.tools.ports, own=own, resolver=resolver)

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        """See Fetcher."""
        step = _first(request)
        try:
            async with asyncio.timeout(request.seconds):
                for _ in range(_REDIRECTS + 1):
                    found = await self._once(step, request.largest)
                    if isinstance(found, OutboundResponse):
                        return found
                    step = found
                    if not request.allowed(str(step.url)):
                        raise ToolError(f"{request.url} leads to {step.url.host}, which policies do not allow here.")
        except TimeoutError as error:
            raise ToolError(f"{step.url.host} did not answer within {request.seconds:g} seconds.") from error
        raise ToolError(f"{request.url} leads to more than {_REDIRECTS} other addresses, one after the other.")

    async def check(self, url: str) -> Sequence[str]:
        """See Fetcher."""
        return [str(each) for each in (await self._destinations.judge_git(read_url(url))).addresses]

    async def _once(self, step: "_Step", largest: int) -> "OutboundResponse | _Step":
        """The answer, or the step that it leads to."""
        destination = await self._destinations.judge(step.url)
        connector = aiohttp.TCPConnector(resolver=_Pinned(destination), use_dns_cache=False, force_close=True)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=None),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                ) as session,
                session.request(
                    step.method, step.url, headers=step.headers, data=step.body or None, allow_redirects=False
                ) as answer,
            ):
                location = answer.headers.get("location")
                if answer.status in (301, 302, 303, 307, 308) and location:
                    return step.led_to(location, answer.status)
                return await _read(answer, largest)
        except aiohttp.ClientConnectorCertificateError as error:
            raise ToolError(f"{destination.host} cannot prove who it is: its certificate is not valid.") from error
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, ValueError) as error:
            raise ToolError(f"{destination.host} cannot be reached: {error or type(error).__name__}.") from error


@dataclass(frozen=True, slots=True)
class _Step:
    """One request of the chain."""

    url: URL
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def led_to(self, location: str, status: int) -> "_Step":
        """The next one, as browsers do it; another host gets no credential and no body."""
        url = read_url(str(_joined(self.url, location))).with_fragment(None)
        step = replace(self, url=url)
        if status == 303 or (status in (301, 302) and self.method == "POST"):
            headers = {name: value for name, value in self.headers.items() if name != "content-type"}
            step = replace(step, method="HEAD" if self.method == "HEAD" else "GET", body=b"", headers=headers)
        if url.origin() != self.url.origin():
            if step.body or step.method not in ("GET", "HEAD", "OPTIONS"):
                raise ToolError(f"{self.url.host} wants the request repeated at {url.host}, which was not asked for.")
            step = replace(step, headers={name: step.headers[name] for name in step.headers if name in _FOR_ANYBODY})
        return step


class _Pinned(AbstractResolver):
    """Knows one name, and only the addresses that were checked: looking it up again could bring others."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See AbstractResolver."""
        if host != self._destination.host:
            raise OSError(f"{host} was not checked")
        return [
            ResolveResult(
                hostname=host,
                host=str(each),
                port=port,
                family=socket.AF_INET if each.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in self._destination.addresses
        ]

    async def close(self) -> None:
        """See AbstractResolver."""


def _first(request: OutboundRequest) -> _Step:
    """Raises ToolError for what is no request."""
    method = request.method.upper()
    if method not in _METHODS:
        raise ToolError(f"{request.method} is no method: use one of {', '.join(_METHODS)}.")
    headers = {"user-agent": f"Portal/{__version__}", "accept": "*/*", "accept-encoding": "gzip, deflate"}
    for name, value in request.headers.items():
        if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
            raise ToolError(f"{name!r} is no header, or its value is none.")
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise ToolError(f"The header {name} cannot be set.")
        headers[name.lower()] = value
    return _Step(read_url(request.url).with_fragment(None), method, headers, request.body)


def _joined(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location))
    except (ValueError, UnicodeError) as error:
        raise ToolError(f"{url.host} leads to something that is no address.") from error


async def _read(answer: aiohttp.ClientResponse, largest: int) -> OutboundResponse:
    """The body up to the wanted size."""
    decoder = Decoder(answer.headers.get("content-encoding", "") if answer.method != "HEAD" else "")
    body, taken = bytearray(), 0
    async for piece in answer.content.iter_any():
        taken += len(piece)
        body += decoder.take(piece, largest + 1 - len(body))
        if len(body) > largest or taken > largest + _COMPRESSED_MORE:
            break
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return OutboundResponse(
        url=str(answer.url),
        status=answer.status,
        headers=headers,
        body=bytes(body[:largest]),
        cut=len(body) > largest or taken > largest + _COMPRESSED_MORE,
    )
