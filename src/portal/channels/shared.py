"""The channels of several servers: one of them holds them all, the others store what is to be sent, and hand on what
platforms post to them."""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence

from portal.core.asking import Questions
from portal.core.channel_stores import Delivery
from portal.core.channels import HookReply, HookRequest
from portal.core.duty import Duty
from portal.core.items import JsonObject
from portal.core.peers import Notices
from portal.errors import PortalError, Unauthenticated

_SECONDS = 8.0
"""That the one which holds the channels has for an answer; platforms wait little longer."""
_CODE = "PORTAL-CODE"
"""Stands for a code in the invitations that are told around."""

Receive = Callable[[str, HookRequest], Awaitable[HookReply]]


class Alone:
    """Where there is one server: it holds the channels."""

    def __init__(self) -> None:
        self.duty = Duty()
        self.status: Sequence[JsonObject] = ()
        """Of the channels, as the one says which holds them."""

    def hurry(self, delivery: Delivery) -> None:
        """There is this for the one that holds the channels."""

    def serve(self, receive: Receive, hurried: Callable[[str], None], told: Callable[[], None]) -> None:
        """Be ready to hold them: take what is posted elsewhere, look for what is new, tell how they are."""

    def tell(self, status: Sequence[JsonObject], invited: Callable[[str], Mapping[str, str]]) -> None:
        """Have the others know how the channels are."""

    async def posted(self, name: str, request: HookRequest) -> HookReply:
        """What came here, and is for the one that holds the channels."""
        return HookReply(status=503)

    def invitations(self, code: str) -> Mapping[str, str]:
        """As Channels.invitations."""
        return {}


class Shared(Alone):
    """Among several servers."""

    def __init__(self, *, duty: Duty, notices: Notices, questions: Questions) -> None:
        super().__init__()
        self.duty, self._notices, self._questions = duty, notices, questions
        self._invitations: Mapping[str, str] = {}
        notices.on("channels", self._heard)

    def hurry(self, delivery: Delivery) -> None:
        """See Alone."""
        self._notices.tell("channels.hurry", {"id": delivery.id})

    def serve(self, receive: Receive, hurried: Callable[[str], None], told: Callable[[], None]) -> None:
        """See Alone."""

        async def answer(body: JsonObject) -> JsonObject | None:
            if not self.duty.held:
                return None
            asked = HookRequest(headers=body["headers"], body=base64.b64decode(body["body"]), query=body["query"])
            try:
                reply = await receive(body["name"], asked)
            except Unauthenticated as error:
                return {"refused": error.message}
            except PortalError as error:
                return {"status": error.status, "body": "", "content_type": "text/plain"}
            content = base64.b64encode(reply.body).decode()
            return {"status": reply.status, "body": content, "content_type": reply.content_type}

        self._questions.answer("channels", answer)
        self._notices.on("channels.hurry", lambda _, body: hurried(body["id"]))
        self._notices.on("channels.how", lambda *_: told())
        self._notices.tell("channels.how", {})

    def tell(self, status: Sequence[JsonObject], invited: Callable[[str], Mapping[str, str]]) -> None:
        """See Alone."""
        self._notices.tell("channels", {"status": list(status), "invitations": dict(invited(_CODE))})

    async def posted(self, name: str, request: HookRequest) -> HookReply:
        """See Alone. Raises Unauthenticated where the channel does there, and StorageError where nobody holds them just
        now."""
        body = {
            "name": name,
            "headers": dict(request.headers),
            "query": dict(request.query),
            "body": base64.b64encode(request.body).decode(),
        }
        told = await self._questions.ask("channels", body, _SECONDS)
        if "refused" in told:
            raise Unauthenticated(told["refused"])
        return HookReply(status=told["status"], body=base64.b64decode(told["body"]), content_type=told["content_type"])

    def invitations(self, code: str) -> Mapping[str, str]:
        """See Alone."""
        return {name: url.replace(_CODE, code) for name, url in self._invitations.items()}

    def _heard(self, sender: str, body: JsonObject) -> None:
        self.status, self._invitations = body["status"], body["invitations"]
