"""The outbound guard: the only way by which tools reach the web for a model."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from yarl import URL

from portal import __version__
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.core.urls import read_url
from portal.errors import ToolError
from portal.security.destination import Destinations, Resolver, system_resolver
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
        from portal.security.outbound_call import Moved, call  # with an HTTP library that is large

        found = await call(destination, step.method, step.url, headers=step.headers, body=step.body, largest=largest)
        return step.led_to(found.location, found.status) if isinstance(found, Moved) else found


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
        found = url.join(URL(location))
        found.origin()  # only what names a host has one
    except (ValueError, UnicodeError) as error:
        raise ToolError(f"{url.host} leads to something that is no address.") from error
    return found
