"""slack-bolt's part: signatures, timestamps, `url_verification`, and acknowledging after what came was dealt with."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from portal.core.channels import HookReply, HookRequest
from portal.errors import Unauthenticated
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.events import Me

log = logging.getLogger(__name__)

Deal = Callable[[Mapping[str, Any]], Awaitable[str | None]]
"""Stores what came; what whoever gave a command is told at once."""
_ANY = re.compile(r".*", re.DOTALL)


class Bolt:
    """Hands every event, press and command to the `Deal` of its kind. Where that fails, Slack is not answered with an
    acknowledgement, and sends it again."""

    def __init__(self, *, api: SlackApi, signing_secret: str, me: Me, event: Deal, press: Deal, command: Deal) -> None:
        self._verifier = SignatureVerifier(signing_secret) if signing_secret else None
        known = AuthorizeResult(
            enterprise_id=None, team_id=me.team, bot_token=api.token, bot_id=me.bot, bot_user_id=me.user
        )

        async def authorize(**_: Any) -> AuthorizeResult:
            return known

        app = AsyncApp(
            logger=log,
            client=AsyncWebClient(base_url=api.base),  # which is not used
            signing_secret="",
            request_verification_enabled=False,  # it is done before
            authorize=authorize,
            process_before_response=True,
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )

        async def happened(body: dict[str, Any]) -> None:
            await event(body)

        async def pressed(ack: Any, body: dict[str, Any]) -> None:
            await press(body)
            await ack()

        async def asked(ack: Any, body: dict[str, Any]) -> None:
            await ack(await command(body) or "")

        app.event(_ANY)(happened)
        app.action(_ANY)(pressed)
        app.command(_ANY)(asked)
        self._app = app

    async def envelope(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """One of Socket Mode: what its acknowledgement carries, None where there is to be none."""
        answer = await self._dispatched(AsyncBoltRequest(mode="socket_mode", body=dict(payload)))
        if answer.status not in (200, 404):  # 404: a kind that Portal does not listen to
            return None
        if not answer.body or answer.status == 404:
            return {}
        return dict(json.loads(answer.body)) if answer.body.startswith("{") else {"text": answer.body}

    async def hook(self, request: HookRequest) -> HookReply:
        """A request over HTTP. Raises Unauthenticated."""
        body = request.body.decode("utf-8", "replace")
        self._verify(request, body)
        answer = await self._dispatched(
            AsyncBoltRequest(mode="http", body=body, query=dict(request.query), headers=dict(request.headers))
        )
        kind = answer.first_headers().get("content-type", "text/plain;charset=utf-8")
        status = 200 if answer.status == 404 else answer.status
        return HookReply(status=status, body=str(answer.body or "").encode(), content_type=kind)

    def _verify(self, request: HookRequest, body: str) -> None:
        """Before anything else is looked at: slack-bolt answers some requests unseen. Raises Unauthenticated."""
        moment = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        formed = re.fullmatch(r"[0-9]{1,12}", moment) is not None and signature.isascii()
        if self._verifier is None or not formed or not self._verifier.is_valid(body, moment, signature):
            raise Unauthenticated("The request is not signed by Slack, or too old.")

    async def _dispatched(self, request: AsyncBoltRequest) -> BoltResponse:
        answer: BoltResponse = await self._app.async_dispatch(request)
        return answer
