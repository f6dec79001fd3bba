"""Where a request to the outside may go: the address in it is read once, by the same parser that is used to connect."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from ipaddress import ip_address

from yarl import URL

from portal.errors import ToolError
from portal.security.addresses import Address, is_public, literal
from portal.security.own_hosts import OwnHosts

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, for a port. Raises OSError where it has none."""


_WEB = ("http", "https")
_GIT = {"http": 80, "https": 443, "ssh": 22, "git": 9418}


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL that may be reached, and the only addresses at which."""

    url: URL
    addresses: Sequence[Address]

    @property
    def host(self) -> str:
        """As the connection looks it up."""
        return self.url.raw_host or ""


class Destinations:
    """Judges where requests go."""

    def __init__(self, *, ports: Sequence[int], own: OwnHosts, resolver: Resolver) -> None:
        """`ports` are those of public hosts."""
        self._ports = frozenset(ports)
        self._own = own
        self._resolver = resolver

    async def judge(self, url: URL) -> Destination:
        """Look its name up and check all addresses: one that must not be reached makes the name suspicious.

        Raises:
            ToolError: it must not be reached, or there is no such name.
        """
        host, port = url.raw_host, url.port
        if url.scheme not in _WEB or not host or port is None:
            raise ToolError(f"{url} is not an address of the web: it must begin with http:// or https://.")
        if url.raw_user is not None or url.raw_password is not None:
            raise ToolError("An address must not carry a user name or password.")
        return Destination(url, await self._reached(host, port, self._ports))

    async def judge_git(self, url: URL) -> Destination:
        """As `judge`, for git: it also knows ssh and its own protocol at their usual ports, and users.

        Raises:
            ToolError: it must not be reached, or there is no such name.
        """
        usual = _GIT.get(url.scheme)
        if usual is None or not url.raw_host:
            raise ToolError("This is not an address that git may reach: it must be one of https, http, ssh or git.")
        ports = self._ports if url.scheme in _WEB else self._ports | {usual}
        return Destination(url, await self._reached(url.raw_host, url.port or usual, ports))

    async def _reached(self, host: str, port: int, ports: Set[int]) -> Sequence[Address]:
        """The addresses of a name; all of them may be reached."""
        addresses = await self._addresses(host, port)
        for address in addresses:
            if self._own.allow(host, port, address):
                continue
            if not is_public(address):
                raise ToolError(
                    f"{host} is not a public address, so it is not reached; the owner can allow it by the setting "
                    "tools.private_hosts."
                )
            if port not in ports:
                raise ToolError(
                    f"Port {port} of {host} is not reached; the owner can allow it by the setting tools.ports."
                )
        return addresses

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        if "%" in host:
            raise ToolError(f"{host} names an interface of this machine, which is not reached.")
        try:
            given = literal(host)
        except ValueError as error:
            raise ToolError(
                f"{host} is a misleading spelling of an address: write it as four plain numbers."
            ) from error
        if given is not None:
            return [given]
        try:
            found = [ip_address(each) for each in await self._resolver(host, port)]
        except (OSError, UnicodeError, ValueError) as error:
            raise ToolError(f"There is no host named {host}.") from error
        if not found:
            raise ToolError(f"There is no host named {host}.")
        return found


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """As this machine looks names up."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]
