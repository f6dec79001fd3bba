"""The one ASGI application: every door's routes, behind one admission."""

from collections.abc import Awaitable, Mapping, Sequence
from inspect import isroutine
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from portal import __version__
from portal.core.tool_ports import Audit
from portal.errors import PortalError
from portal.interfaces.acting import Acting
from portal.interfaces.anthropic import errors as anthropic
from portal.interfaces.dialect import Dialect
from portal.interfaces.health import detail_routes, health_routes, metrics_route
from portal.interfaces.mcp import endpoint as mcp
from portal.interfaces.ollama import errors as ollama
from portal.interfaces.openai import errors as openai
from portal.interfaces.openai.errors import error_handlers, error_response
from portal.interfaces.openai.validation import refused
from portal.interfaces.parts import Parts
from portal.interfaces.trail import Trail, is_watched
from portal.interfaces.web.oauth import challenge
from portal.observability.context import request_id
from portal.security.admission import Admission, App, Headers
from portal.security.forwarded import TrustedProxies
from portal.security.hosts import is_loopback
from portal.security.ollama_door import OllamaDoor

_DIALECTS: Sequence[tuple[str, Dialect]] = (
    ("/v1/messages", anthropic.DIALECT),
    ("/api/dry-run", openai.DIALECT),
    ("/api/", ollama.DIALECT),
)
"""By path: the first that fits says how a request is refused."""


def application(parts: Parts) -> Admission:
    """Every route behind admission."""
    app = _Application(
        title="Portal",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        exception_handlers={**error_handlers(dialect_at), RequestValidationError: _invalid},
        redirect_slashes=False,
    )
    doors = [*_anthropic(parts), *_openai(parts), *_portal(parts), *_running(parts), *_people(parts), *_ollama(parts)]
    for route in [*doors, _mcp(parts), *_health(parts), metrics_route(parts.usage), *_pages(parts)]:
        app.router.routes.append(route)
    return Admission(
        _Straight(app, parts.approving.audit),
        credentials=parts.credentials,
        ollama=_ollama_door(parts),
        render=_render,
        allowed_hosts=parts.settings.server.allowed_hosts,
        allowed_origins=parts.settings.server.allowed_origins,
        max_body=parts.settings.server.max_body,
        max_upload=parts.settings.server.max_upload,
        max_import=parts.settings.server.max_import,
        throttle=parts.entrance.throttle,
        proxies=TrustedProxies(parts.settings.server.trusted_proxies),
        closing=lambda: parts.health.draining,
        sink=parts.tracer.sink,
        challenge=challenge if parts.entrance.oauth is not None else lambda scope, error: [],
    )


def routes_of(app: App) -> Sequence[BaseRoute]:
    """All that an application serves, for whoever looks at every door of it."""
    assert isinstance(app, Admission)
    assert isinstance(app.inner, _Straight)
    return app.inner.routes


_NO_STATE: Mapping[str, Any] = {}


class _Straight:
    """Calls the doors on plain ASGI without FastAPI's layers, which cost more than such a call itself."""

    def __init__(self, app: FastAPI, audit: Audit) -> None:
        self.routes: Sequence[BaseRoute] = app.router.routes
        self._behind = Trail(cast(ASGIApp, app), audit=audit)
        self._doors: dict[tuple[Any, Any], ASGIApp] = {
            (method, route.path): Trail(route.app, audit=audit) if is_watched(route.path) else route.app
            for route in self.routes
            if isinstance(route, Route) and not isroutine(route.endpoint) and not route.param_convertors
            for method in route.methods or ()
        }

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One request, or WebSocket."""
        request_id.set(scope.get("state", _NO_STATE).get("request_id", ""))
        door = self._doors.get((scope.get("method"), scope.get("path")), self._behind)
        return door(scope, receive, send)


class _Application(FastAPI):
    """Its document tells of the routes that are not FastAPI's, too."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made at the first request."""
        from portal.interfaces.ollama.openapi import described as with_ollama
        from portal.interfaces.openai.openapi import described

        return self.openapi_schema or with_ollama(described(super().openapi()))


def _openai(parts: Parts) -> Sequence[BaseRoute]:
    from portal.interfaces.openai.audio import audio_routes
    from portal.interfaces.openai.chat import chat_routes
    from portal.interfaces.openai.completions import completions_routes
    from portal.interfaces.openai.conversations import conversations_routes
    from portal.interfaces.openai.embeddings import embeddings_routes
    from portal.interfaces.openai.files import files_routes
    from portal.interfaces.openai.images import image_routes
    from portal.interfaces.openai.models import models_routes
    from portal.interfaces.openai.rerank import rerank_routes
    from portal.interfaces.openai.responses import responses_routes
    from portal.interfaces.openai.speech import speech_routes
    from portal.interfaces.openai.vector_store_files import vector_store_file_routes
    from portal.interfaces.openai.vector_stores import vector_store_routes
    from portal.interfaces.web.stored_files import stored_file_routes

    keep_alive = parts.settings.server.keep_alive
    return [
        *chat_routes(
            models=parts.models,
            acting=_acting(parts),
            usage=parts.usage,
            conversations=parts.conversations,
            responses=parts.responses,
            keep_alive=keep_alive,
        ),
        *completions_routes(models=parts.models, usage=parts.usage, keep_alive=keep_alive),
        *embeddings_routes(models=parts.models, usage=parts.usage),
        *rerank_routes(models=parts.models, usage=parts.usage, otherwise=parts.compares),
        *responses_routes(
            agent=parts.agent,
            responses=parts.responses,
            collections=parts.library.collections,
            files=parts.files,
            keep_alive=keep_alive,
        ),
        *conversations_routes(
            conversations=parts.conversations, responses=parts.responses, agent=parts.agent, files=parts.files
        ),
        *files_routes(files=parts.files),
        *image_routes(studio=parts.media, files=parts.files, usage=parts.usage, keep_alive=keep_alive),
        *stored_file_routes(files=parts.files, previews=parts.previews).routes,
        *vector_store_routes(library=parts.library),
        *vector_store_file_routes(library=parts.library),
        *audio_routes(transcriber=parts.speech.transcriber, usage=parts.usage, keep_alive=keep_alive),
        *speech_routes(speaker=parts.speech.speaker, usage=parts.usage, keep_alive=keep_alive),
        *models_routes(models=parts.models, speech=parts.speech.models),
    ]


def _acting(parts: Parts) -> Acting:
    return Acting(
        agent=parts.agent, models=parts.models, toolbox=parts.toolbox, keep_alive=parts.settings.server.keep_alive
    )


def _anthropic(parts: Parts) -> Sequence[BaseRoute]:
    """Before OpenAI's: those of `/v1/models` let other clients through."""
    from portal.interfaces.anthropic.messages import messages_routes
    from portal.interfaces.anthropic.models import models_routes

    return [
        *messages_routes(
            models=parts.models,
            acting=_acting(parts),
            usage=parts.usage,
            aliases=parts.aliases,
            keep_alive=parts.settings.server.keep_alive,
        ),
        *models_routes(models=parts.models, aliases=parts.aliases),
    ]


def _portal(parts: Parts) -> Sequence[BaseRoute]:
    from portal.interfaces.web import (
        approvals,
        channels,
        conversations,
        embedder,
        knowledge,
        mcp,
        media,
        memories,
        models,
        routing,
        schedules,
        skills,
        tools,
        workspaces,
    )

    routers = [
        conversations.selection_routes(conversations=parts.conversations, agent=parts.agent, bus=parts.bus),
        conversations.conversation_routes(
            conversations=parts.conversations, search=parts.mind.past, agent=parts.agent, bus=parts.bus
        ),
        conversations.response_routes(responses=parts.responses),
        conversations.folder_routes(folders=parts.folders, bus=parts.bus),
        models.model_routes(servers=parts.servers),
        workspaces.workspace_routes(workspaces=parts.workspaces),
        workspaces.persona_routes(workspaces=parts.workspaces),
        knowledge.knowledge_routes(library=parts.library),
        embedder.embedder_routes(choice=parts.library.embedder, is_admin=parts.credentials.is_admin),
        knowledge.citation_routes(library=parts.library),
        knowledge.collection_routes(library=parts.library, files=parts.files),
        models.engine_routes(engine=parts.engine),
        models.manual_routes(manual=parts.manual),
        mcp.mcp_routes(servers=parts.tool_servers),
        mcp.mcp_shipped_routes(servers=parts.tool_servers),
        mcp.mcp_library_routes(servers=parts.tool_servers),
        routing.routing_routes(models=parts.models, responses=parts.responses, toolbox=parts.toolbox),
        approvals.approval_routes(approvals=parts.approving.approvals, deciding=parts.approving.deciding),
        approvals.grant_routes(
            grants=parts.approving.grants,
            audit=parts.approving.audit,
            audit_days=parts.approving.audit_days,
            bus=parts.bus,
        ),
        tools.tool_routes(tools=parts.approving.tools),
        memories.memory_routes(memories=parts.mind.keeper),
        memories.memory_settings_routes(memories=parts.mind.keeper),
        memories.single_memory_routes(memories=parts.mind.keeper),
        *schedules.routers(table=parts.timetable, settings=parts.settings.schedules),
        *media.routers(studio=parts.media, files=parts.files),
        skills.skill_routes(skills=parts.skills, is_admin=parts.credentials.is_admin),
        channels.channel_routes(channels=parts.channels, is_admin=parts.credentials.is_admin),
        channels.hook_routes(channels=parts.channels),
    ]
    return [route for router in routers for route in router.routes]


def _running(parts: Parts) -> Sequence[BaseRoute]:
    """What those need who run an installation."""
    from portal.interfaces.web import activity, backups, exchange, turns

    routers = [
        *turns.routers(traces=parts.traces, is_admin=parts.credentials.is_admin),
        activity.activity_routes(activity=parts.activity),
        activity.log_routes(levels=parts.activity.levels),
        backups.backup_routes(backups=parts.backups, is_admin=parts.credentials.is_admin),
        exchange.import_routes(exchange=parts.exchange),
        exchange.export_routes(exchange=parts.exchange),
    ]
    return [route for router in routers for route in router.routes]


def _people(parts: Parts) -> Sequence[BaseRoute]:
    from portal.interfaces.web import account, oauth, oidc, passkeys, people, sharing, signing_in, usage

    entrance = parts.entrance
    allowed = parts.settings.people.sharing
    shown: dict[str, Any] = {"shares": entrance.shares, "conversations": parts.conversations, "allowed": allowed}
    routers = [
        account.account_routes(
            users=parts.users,
            entrance=entrance,
            server=parts.settings.server,
            channels=parts.channels.status,
        ),
        account.credential_routes(users=parts.users, credentials=parts.credentials, bus=parts.bus),
        account.event_routes(bus=parts.bus),
        usage.usage_routes(
            consumption=parts.activity.consumption, membership=entrance.membership, zone=parts.timetable.keeper.zone
        ),
        people.people_routes(membership=entrance.membership, bus=parts.bus),
        signing_in.sign_in_routes(entrance=entrance),
        signing_in.password_routes(entrance=entrance),
        passkeys.passkey_sign_in_routes(entrance=entrance),
        passkeys.passkey_routes(entrance=entrance),
        oidc.oidc_routes(entrance=entrance),
        oauth.oauth_routes(entrance=entrance),
        sharing.share_routes(**shown),
        sharing.shared_routes(**shown),
    ]
    return [route for router in routers for route in router.routes]


def _ollama(parts: Parts) -> Sequence[BaseRoute]:
    """Its last route takes everything below /api: what others put there comes before it."""
    from portal.interfaces.ollama.routes import ollama_routes

    return ollama_routes(models=parts.models, acting=_acting(parts), usage=parts.usage, backends=parts.backends)


def _ollama_door(parts: Parts) -> OllamaDoor:
    token = parts.settings.ollama.token.get_secret_value().strip() if parts.settings.ollama.token else ""
    return OllamaDoor(credentials=parts.credentials, token=token, loopback=is_loopback(parts.settings.server.host))


def _pages(parts: Parts) -> Sequence[BaseRoute]:
    from portal.interfaces.web.pages import page_routes

    return page_routes(credentials=parts.credentials)


async def _invalid(request: Request, error: Exception) -> Response:
    """What the framework refuses, in the form of the other doors."""
    assert isinstance(error, RequestValidationError)
    return error_response(refused(error))


def _mcp(parts: Parts) -> Route:
    return Route(mcp.PATH, parts.endpoint, methods=["GET", "POST", "DELETE"])


def _health(parts: Parts) -> Sequence[BaseRoute]:
    from portal.interfaces.web.cluster import cluster_routes
    from portal.interfaces.web.config import config_routes

    routers = [
        detail_routes(health=parts.health),
        config_routes(rereads=parts.rereads),
        cluster_routes(members=parts.members, is_admin=parts.credentials.is_admin),
    ]
    opened = health_routes(health=parts.health, channels=parts.channels.status)
    return [*opened, *(route for router in routers for route in router.routes)]


def dialect_at(path: str) -> Dialect:
    """How the API at this path says things; OpenAI's way where it is nobody's."""
    return next((dialect for prefix, dialect in _DIALECTS if path.startswith(prefix)), openai.DIALECT)


def _render(path: str, error: PortalError) -> tuple[int, Headers, bytes]:
    """A refusal in the format of the API at this path."""
    dialect = dialect_at(path)
    return error.status, list(dialect.error_headers(error)), dialect.error_body(error)
