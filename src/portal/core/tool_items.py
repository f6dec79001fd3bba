"""The items of tool calls that Portal runs, and of questions about them."""

import json

from portal.core.approvals import ApprovalRecord
from portal.core.clock import seconds
from portal.core.ids import new_id
from portal.core.items import Item
from portal.core.tools import ToolSpec


def call_item(spec: ToolSpec, arguments: str, number: int, approval: ApprovalRecord | None) -> Item:
    """A call of round `number` that begins."""
    return {
        "type": "mcp_call",
        "id": new_id("mcp"),
        "server_label": spec.toolset,
        "name": spec.name,
        "arguments": arguments,
        "output": None,
        "error": None,
        "status": "in_progress",
        "approval_request_id": approval.id if approval else None,
        "portal:round": number,
        "portal:risk": spec.risk,
    }


def request_item(approval: ApprovalRecord) -> Item:
    """A question to a person."""
    return {
        "type": "mcp_approval_request",
        "id": approval.id,
        "server_label": approval.toolset,
        "name": approval.tool,
        "arguments": json.dumps(approval.arguments, ensure_ascii=False),
        "portal:why": approval.why,
        "portal:risk": approval.risk,
        "portal:question": approval.question,
        "portal:extents": list(approval.extents),
        "portal:expires_at": seconds(approval.expires_at),
    }
