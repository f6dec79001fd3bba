"""What platforms ask of Portal at once: the home that somebody sees, and questions without a conversation."""

from collections.abc import Callable, Sequence

from portal.channels import words
from portal.channels.answers import text_so_far
from portal.channels.commands import spelled
from portal.channels.conversing import Desks, message_item
from portal.channels.questions import question
from portal.core.agent import Turn
from portal.core.channels import Button, Content, Sender
from portal.errors import Forbidden

_AT_HOME = 20


class Asked:
    """Answers them."""

    def __init__(self, *, desks: Desks, health: Callable[[], Sequence[str]], slash: Callable[[str], str]) -> None:
        """`health` is how the channels are, in lines; `slash` what a channel's commands begin with."""
        self._desks, self._health, self._slash = desks, health, slash

    async def home(self, channel: str, sender: Sender) -> Content:
        """See Desk."""
        link = await self._desks.links.of(channel, sender.id)
        if link is None:
            return Content(text=self._to_stranger(channel))
        lines = [*self._health()]
        rows: list[Sequence[Button]] = []
        pending = await self._desks.approvals.list(link.owner, status="pending", limit=_AT_HOME)
        for record in pending.data:
            text, buttons = question(record, replies=False)
            lines.append(text)
            rows.extend(buttons)
        return Content(text="\n\n".join(lines), buttons=rows)

    def _to_stranger(self, channel: str) -> str:
        return spelled(words.STRANGER_HOME, self._slash(channel))

    async def ask(self, channel: str, sender: Sender, text: str) -> str:
        """See Desk."""
        link = await self._desks.links.of(channel, sender.id)
        if link is None:
            raise Forbidden(self._to_stranger(channel))
        run = await self._desks.agent.start(
            Turn(
                owner=link.owner,
                model=self._desks.model,
                input=[message_item([{"type": "input_text", "text": text}])],
                door=channel,
                store=False,
                private=True,
                asks=False,
            )
        )
        try:
            return text_so_far((await run.result())["output"])
        finally:
            run.cancel()
