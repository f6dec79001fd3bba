"""From a response to what a chat shows of it: its text and the files its tools made."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.channels import words
from portal.core.items import TERMINAL, Item, JsonObject, text_of
from portal.core.records import TurnRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer that is over."""

    text: str
    files: Sequence[str] = ()
    asks: bool = False
    """It ended with questions to a person."""
    again: bool = False
    """It did not get to its end, and can be tried again."""


def text_so_far(items: Sequence[Item]) -> str:
    """What its messages say."""
    said = (text_of(item) for item in items if item["type"] == "message")
    return "\n\n".join(text for text in said if text).rstrip()


def doing(items: Sequence[Item]) -> str:
    """What is under way, in words."""
    calls = [item["name"] for item in items if item["type"] == "mcp_call" and item["status"] == "in_progress"]
    return f"is using {', '.join(dict.fromkeys(calls))}" if calls else ""


def shown(turn: TurnRecord) -> Shown:
    """The whole of a response that is over."""
    items = [stored.item for stored in turn.items if stored.side == "output"]
    response = turn.response
    assert response.status in TERMINAL
    note, again = _ending(response.status, response.error, response.incomplete_details)
    text = "\n\n".join(part for part in (text_so_far(items), note) if part)
    asks = any(item["type"] == "mcp_approval_request" for item in items)
    files = _files(items)
    return Shown(text=text or ("" if asks or files else words.NO_ANSWER), files=files, asks=asks, again=again)


def _ending(status: str, error: JsonObject | None, incomplete: JsonObject | None) -> tuple[str, bool]:
    if status == "failed":
        return words.FAILED.format(why=(error or {}).get("message") or "It failed."), True
    if status == "cancelled":
        return words.WAS_STOPPED, True
    if (incomplete or {}).get("reason") == "interrupted":
        return words.INTERRUPTED, True
    return "", False


def _files(items: Sequence[Item]) -> Sequence[str]:
    """Those that tools made, without outputs that were only too long for the model."""
    return [
        file["file_id"]
        for item in items
        if item["type"] == "mcp_call"
        for file in item.get("portal:files") or ()
        if file["filename"] != f"{item['name']}.txt"
    ]
