"""What is looked up beside a message: names of people and rooms, whose a thread is, where one person is alone."""

import asyncio
from collections.abc import Awaitable, Callable

from portal.core.channels import Place
from portal.errors import ChannelError, ChannelGone, ChannelRejected, PortalError
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.events import Me

_NAMED, _SAID, _KEPT = 0.4, 1.8, 2_000
"""Seconds for a name and for what has to be known: they end before the three after which Slack sends again."""


class Directory:
    """Each thing is asked once, and not for long: an acknowledgement waits for it."""

    def __init__(self, *, api: SlackApi) -> None:
        self._api = api
        self._known: dict[tuple[str, str], str] = {}

    def first(self, what: str) -> bool:
        """Whether this was not asked before."""
        new = ("first", what) not in self._known
        self._keep(("first", what), "yes")
        return new

    async def person(self, user: str) -> str:
        """A name; empty where Slack does not say."""
        return await self._name("user", user, self._person)

    async def room(self, room: str) -> str:
        """The same of a channel."""
        return await self._name("room", room, self._room)

    async def takes_part(self, place: Place, me: Me) -> bool:
        """Whether a thread began with Portal, or by asking it. Raises PortalError where Slack does not say: whether the
        message is for Portal is not known then."""

        async def ask(_: str) -> str:
            page = await self._api.look("conversations.replies", channel=place.chat, ts=place.thread, limit=1)
            root = page["messages"][0]
            return "yes" if root.get("user") == me.user or f"<@{me.user}>" in str(root.get("text")) else ""

        try:
            return bool(await self._asked("thread", f"{place.chat} {place.thread}", ask, _SAID))
        except (ChannelGone, ChannelRejected):  # it is deleted by now
            return False

    async def direct(self, user: str) -> str:
        """The room where one person is alone with Portal. Raises PortalError."""
        return await self._asked("direct", user, self._direct, _SAID)

    async def _name(self, what: str, key: str, ask: Callable[[str], Awaitable[str]]) -> str:
        try:
            return await self._asked(what, key, ask, _NAMED)
        except PortalError:
            return ""

    async def _asked(self, what: str, key: str, ask: Callable[[str], Awaitable[str]], within: float) -> str:
        if (what, key) not in self._known:
            try:
                async with asyncio.timeout(within):
                    answer = await ask(key)
            except TimeoutError:
                raise ChannelError("Slack did not answer in time.") from None
            self._keep((what, key), answer)
        return self._known[what, key]

    def _keep(self, key: tuple[str, str], value: str) -> None:
        if len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = value

    async def _person(self, user: str) -> str:
        found = (await self._api.look("users.info", user=user))["user"]
        profile = found.get("profile") or {}
        return str(profile.get("display_name") or found.get("real_name") or found.get("name") or "")

    async def _room(self, room: str) -> str:
        found = (await self._api.look("conversations.info", channel=room))["channel"]
        return f"#{found['name']}" if found.get("name") else ""

    async def _direct(self, user: str) -> str:
        return str((await self._api.look("conversations.open", users=user))["channel"]["id"])
