"""Calls of Slack's Web API: one try each, with a deadline, and its errors as Portal's."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from portal.errors import (
    ChannelError,
    ChannelGone,
    ChannelRefused,
    ChannelRejected,
    ChannelUncertain,
    RateLimited,
)

_TIMEOUT = 20.0
_REFUSED = {
    "account_inactive",
    "invalid_auth",
    "missing_scope",
    "not_allowed_token_type",
    "not_authed",
    "token_expired",
    "token_revoked",
}
_GONE = {
    "channel_not_found",
    "is_archived",
    "is_inactive",
    "not_in_channel",
    "restricted_action",
    "restricted_action_read_only_channel",
    "thread_not_found",
    "user_not_found",
}
_FAULTS = {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "messaging_processing_failed"}
"""After these some of it may have been done."""


class SlackApi:
    """Raises the errors that `Channel` names; where Slack says no, `param` is its own word."""

    def __init__(self, *, token: str, base: str, timeout: float = _TIMEOUT) -> None:
        self._timeout = timeout
        self.base = base if base.endswith("/") else f"{base}/"
        self.token = token
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None
        self._closed_until: dict[str, float] = {}
        """Methods that are not to be called before this moment of the event loop's clock."""

    @property
    def client(self) -> AsyncWebClient:
        """slack-sdk's client, without its own retries."""
        if self._client is None:
            self._client = AsyncWebClient(
                token=self.token,
                base_url=self.base,
                session=self.session,
                timeout=int(self._timeout) + 1,
                retry_handlers=[],
            )
        return self._client

    @property
    def session(self) -> aiohttp.ClientSession:
        """For everything that goes to Slack."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=10))
        return self._session

    async def call(self, method: str, **args: Any) -> Mapping[str, Any]:
        """Write something."""
        return await self._try(method, json={name: value for name, value in args.items() if value is not None})

    async def look(self, method: str, **args: Any) -> Mapping[str, Any]:
        """Read something; what no answer came to was harmless."""
        given = {name: value for name, value in args.items() if value is not None}
        try:
            return await self._try(method, params=given)
        except ChannelUncertain as error:
            raise ChannelError(error.message) from error

    async def _try(self, method: str, **how: Any) -> Mapping[str, Any]:
        moment = asyncio.get_running_loop().time()
        wait = self._closed_until.get(method, 0) - moment
        if wait > 0:
            raise RateLimited("Slack asks to wait.", retry_after=wait)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self.client.api_call(method, **how)
        except SlackApiError as error:
            refused = refusal(method, error.response)
            if isinstance(refused, RateLimited) and method != "chat.postMessage":  # which is counted by channel
                self._closed_until[method] = moment + (refused.retry_after or 1)
            raise refused from error
        except aiohttp.ClientConnectorError as error:
            raise ChannelError(f"Slack cannot be reached: {error}") from error
        except (TimeoutError, aiohttp.ClientError, SlackClientError, ConnectionError) as error:
            raise ChannelUncertain(f"No answer came from Slack to {method}.") from error
        return dict(answer.data) if isinstance(answer.data, dict) else {}

    async def upload(self, url: str, content: AsyncIterator[bytes], size: int) -> None:
        """Send a file's content where Slack said."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        try:
            async with (
                asyncio.timeout(self._timeout + size / 100_000),
                self.session.post(url, data=content, headers=headers) as answer,
            ):
                if answer.status != 200:
                    raise ChannelError(f"Slack did not take a file: {answer.status} {(await answer.text())[:200]}")
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise ChannelError(f"A file did not get to Slack: {error}") from error

    async def download(self, url: str, most: int) -> AsyncIterator[bytes]:
        """A private file of Slack's. The token goes nowhere else."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            async with asyncio.timeout(self._timeout * 6), self.session.get(url, headers=headers) as answer:
                if answer.status != 200 or answer.content_type == "text/html":
                    raise ChannelRejected("Slack does not give this file: the app may lack the scope files:read.")
                got = 0
                async for chunk in answer.content.iter_chunked(65_536):
                    got += len(chunk)
                    if got > most:
                        raise ChannelRejected("The file is too large.")
                    yield chunk
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise ChannelError(f"A file did not come from Slack: {error}") from error

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = self._client = None


def refusal(method: str, response: Any) -> ChannelError | RateLimited:
    """The error that an answer of Slack's means."""
    status = getattr(response, "status_code", 200)
    data = getattr(response, "data", None)
    word = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == 429 or word in ("ratelimited", "rate_limited"):
        headers = {name.lower(): value for name, value in response.headers.items()}
        after = str(headers.get("retry-after", "1"))
        return RateLimited("Slack asks to wait.", retry_after=int(after) if after.isdigit() else 1)
    if status >= 500 or word in _FAULTS or not word:
        return ChannelUncertain(f"Slack failed at {method}: {word or status}.")
    text = f"Slack says {word} to {method}."
    if word in _REFUSED:
        needed = data.get("needed") if isinstance(data, dict) else ""
        return ChannelRefused(f"{text} It needs the scope {needed}." if needed else text, param=word)
    return (ChannelGone if word in _GONE else ChannelRejected)(text, param=word)
