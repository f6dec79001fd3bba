"""How a turn ended otherwise than with its answer, as changes to its record."""

from portal.core.items import JsonObject
from portal.errors import PortalError


def stopped(status: str) -> JsonObject:
    """It was ended as `cancelled` or `incomplete`."""
    reason = "cancelled" if status == "cancelled" else "interrupted"
    return {"status": status, "incomplete_details": {"reason": reason}}


def failed(error: PortalError) -> JsonObject:
    """It failed with this."""
    told = {"code": error.code or error.type, "message": error.message}
    return {"status": "failed", "error": told, "incomplete_details": None}


def unexpected(error: Exception) -> PortalError:
    """What a fault of Portal's own is told as."""
    failure = PortalError("Portal failed to run this turn; the log has the details.", code="internal_error")
    failure.__cause__ = error
    return failure
