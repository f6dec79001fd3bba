"""One call of the outbound guard, to addresses that were checked, by aiohttp."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from portal.core.outbound import OutboundResponse
from portal.errors import ToolError
from portal.security.decoding import Decoder
from portal.security.destination import Destination

_COMPRESSED_MORE = 2**20
"""Bytes beyond the wanted ones that are read of a body that comes compressed."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The answer is elsewhere."""

    location: str
    status: int


async def call(
    destination: Destination, method: str, url: URL, *, headers: Mapping[str, str], body: bytes, largest: int
) -> OutboundResponse | Moved:
    """The answer, its body up to `largest` bytes. Raises ToolError."""
    connector = aiohttp.TCPConnector(resolver=_Pinned(destination), use_dns_cache=False, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.request(method, url, headers=headers, data=body or None, allow_redirects=False) as answer,
        ):
            location = answer.headers.get("location")
            if answer.status in (301, 302, 303, 307, 308) and location:
                return Moved(location, answer.status)
            return await _read(answer, largest)
    except aiohttp.ClientConnectorCertificateError as error:
        raise ToolError(f"{destination.host} cannot prove who it is: its certificate is not valid.") from error
    except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError, ValueError) as error:
        raise ToolError(f"{destination.host} cannot be reached: {error or type(error).__name__}.") from error


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
