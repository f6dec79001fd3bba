"""What every /portal/v1 route shares: its caller, and bodies that refuse what they do not know."""

import gzip
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from portal.interfaces.late import LateRoute
from portal.security.credentials import Caller


def caller(request: Request) -> Caller:
    """Whom admission let in."""
    admitted: Caller = request.state.caller
    return admitted


Who = Annotated[Caller, Depends(caller)]
Limit = Annotated[int, Field(ge=1, le=200)]
Moment = Annotated[float | None, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]
"""Unix seconds."""


def stored(moment: float | None) -> int | None:
    """As times are kept."""
    return None if moment is None else round(moment * 1_000_000)


class Body(BaseModel):
    """Base of the request bodies."""

    model_config = ConfigDict(extra="forbid")


class Packed(LateRoute):
    """Routes of long lists: their JSON is compressed for who takes that."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """FastAPI's own, with its body packed where that saves something."""
        answer = super().get_route_handler()

        async def packed(request: Request) -> Response:
            return pack(request, await answer(request))

        return packed


def pack(request: Request, response: Response) -> Response:
    """The response, its body compressed if it is long and whoever asks takes gzip."""
    response.headers.append("vary", "accept-encoding")
    if len(response.body) < _WORTH_PACKING or "gzip" not in request.headers.get("accept-encoding", ""):
        return response
    response.body = gzip.compress(response.body, 6, mtime=0)
    response.headers["content-encoding"] = "gzip"
    response.headers["content-length"] = str(len(response.body))
    return response


_WORTH_PACKING = 1000
"""Bytes from which packing saves a packet or more."""
