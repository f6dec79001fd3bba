"""Signing in at an identity provider: there and back."""

import hmac
import logging

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from portal.errors import NotFound, PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.web.entrance import Entrance
from portal.interfaces.web.signing_in import device, set_session
from portal.security.oidc import Provider
from portal.settings.people import OidcSettings

log = logging.getLogger(__name__)

STATE = "portal_oidc"
"""The cookie that ties a sign-in to the browser it was begun in."""
_STATE_SECONDS = 600


def oidc_routes(*, entrance: Entrance) -> APIRouter:
    """Routes for whoever is not signed in. A browser follows them, so that a refusal leads back to the page."""
    router = LateRouter(prefix="/sign-in/oidc", tags=["sign-in"])

    def provider(name: str) -> tuple[OidcSettings, Provider]:
        found = entrance.providers.get(name)
        if found is None:
            raise NotFound(f"There is no identity provider {name!r}.")
        return found

    @router.get("/{name}")
    async def begin_oidc(request: Request, name: str) -> Response:
        _, there = provider(name)
        redirect = f"{str(request.base_url).rstrip('/')}/sign-in/oidc/{name}/callback"
        try:
            address, state = await there.begin(redirect)
        except PortalError as error:
            return _back(error)
        response = RedirectResponse(address, status_code=303)
        response.set_cookie(
            STATE,
            state,
            max_age=_STATE_SECONDS,
            path="/sign-in/oidc",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    @router.get("/{name}/callback")
    async def finish_oidc(
        request: Request, name: str, code: str = "", state: str = "", iss: str | None = None, error: str = ""
    ) -> Response:
        settings, there = provider(name)
        mine = request.cookies.get(STATE, "")
        if error or not code or not hmac.compare_digest(mine.encode(), state.encode()):
            log.warning("a sign-in at %s came back without success: %s", name, error or "not from this browser")
            return RedirectResponse("/?sign-in=refused", status_code=303)
        try:
            claims = await there.finish(state=state, code=code, issuer=iss)
            user = await entrance.acquaintance.of(claims, settings)
        except PortalError as refusal:
            await entrance.credentials.refused("oidc", provider=name, code=refusal.code)
            return _back(refusal)
        _, secret = await entrance.credentials.open_session(user.id, device=device(request), way="oidc")
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(STATE, path="/sign-in/oidc")
        set_session(request, response, secret)
        return response

    return router


def _back(error: PortalError) -> Response:
    log.warning("a sign-in at an identity provider was refused: %s", error.message)
    return RedirectResponse(f"/?sign-in={error.code or 'refused'}", status_code=303)
