"""One answer over `/v1/responses`, as the commands follow it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from portal.cli.client import Client, segment
from portal.cli.options import counted
from portal.cli.plans import plan_line
from portal.errors import PortalError

_TEXT = ("response.output_text.delta", "response.refusal.delta")
_REASONING = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta")
_TERMINAL = ("response.completed", "response.incomplete", "response.failed")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer."""

    kind: Literal["text", "reasoning", "progress", "tool", "asks"]
    text: str
    """Of `asks` the id of an approval: a call that is under way waits for it."""


class Answer:
    """Iterate it for the pieces; afterwards `resource` is the finished response."""

    def __init__(self, client: Client, request: dict[str, Any]) -> None:
        """`request` is a Responses request, without `stream`."""
        self._client = client
        self._path = "/v1/responses?portal_events=1"
        self._request: dict[str, Any] | None = {**request, "stream": True}
        self._stored = request.get("store", True)
        self.id = ""
        self.resource: dict[str, Any] = {}
        self.dropped = 0
        """How many older messages of the conversation did not fit the model's window."""

    @classmethod
    def going_on(cls, client: Client, response_id: str) -> "Answer":
        """One that is under way."""
        answer = cls(client, {})
        answer._path = f"/v1/responses/{segment(response_id)}?stream=true&portal_events=1"
        answer._request = None
        return answer

    def __iter__(self) -> Iterator[Piece]:
        """The pieces, as they come.

        Raises:
            PortalError: the server refused, the answer failed, or it was cut.
        """
        for event in self._client.stream(self._path, self._request):
            kind = event.get("type", "")
            if kind in _TEXT:
                yield Piece("text", event["delta"])
            elif kind in _REASONING:
                yield Piece("reasoning", event["delta"])
            elif kind == "portal:progress":
                yield Piece("progress", str(event.get("detail") or event.get("state") or ""))
            elif kind == "portal:tool_asks":
                yield Piece("asks", event["approval_id"])
            elif kind == "portal:tool_progress":
                yield Piece("progress", str(event.get("detail") or ""))
            elif kind.startswith("response.output_item.") and event["item"]["type"] == "mcp_call":
                yield _call(event["item"])
            elif kind == "portal:route":
                self.dropped = (event.get("decision") or {}).get("dropped_messages") or 0
            elif kind == "response.created":
                self.id = event["response"]["id"]
            elif kind in _TERMINAL:
                self.resource = event["response"]
            elif kind == "error":
                raise PortalError(_reason(event.get("error") or event))
        self._check()

    def _check(self) -> None:
        status = self.resource.get("status")
        if status is None:
            raise PortalError("The answer was cut: Portal ended before it was finished")
        if status == "failed":
            raise PortalError(_reason(self.resource.get("error") or {}))

    @property
    def cut_short(self) -> str:
        """Why the answer is incomplete; empty when it is whole."""
        if self.resource.get("status") != "incomplete":
            return ""
        return str((self.resource.get("incomplete_details") or {}).get("reason") or "unknown")

    @property
    def asides(self) -> list[str]:
        """What memory had to do with it, and the documents that it cites, a line each."""
        output = self.resource.get("output", ())
        lines = [_remembered(item) for item in output if item["type"] == "portal:memory"]
        parts = [part for item in output if item["type"] == "message" for part in item["content"]]
        notes = [note for part in parts for note in part.get("annotations") or () if "portal:number" in note]
        return [*filter(None, lines), *dict.fromkeys(map(_source, notes))]

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """The questions to a person that it ended with."""
        return [item for item in self.resource.get("output", ()) if item["type"] == "mcp_approval_request"]

    def forget(self) -> None:
        """Delete it, now that it was read."""
        with suppress(PortalError):  # it may never have begun, or be deleted already
            self._client.send("DELETE", f"/v1/responses/{segment(self.id)}")

    def cancel(self) -> None:
        """Stop it on the server; its text so far is kept there if it is stored."""
        if self.id and self._stored:
            with suppress(PortalError):  # it may have ended at this very moment
                self._client.send("POST", f"/v1/responses/{segment(self.id)}/cancel")


def _call(item: dict[str, Any]) -> Piece:
    """A tool call in one line."""
    if item["status"] == "in_progress":
        return Piece("progress", f"running {item['name']}")
    plan = plan_line(item)
    if plan:
        return Piece("tool", plan)
    ended = "done" if item["status"] == "completed" else " ".join(str(item.get("error") or item["status"]).split())
    return Piece("tool", f"[{item['name']}: {ended[:200]}]")


def _remembered(item: dict[str, Any]) -> str:
    told = ["Saved to memory"] if item.get("saved") else []
    if used := len(item.get("memories") or ()):
        told.append(f"Used {counted(used, 'memory', 'memories')}")
    return ", ".join(told)


def _source(note: dict[str, Any]) -> str:
    page = f", page {note['portal:page']}" if note.get("portal:page") else ""
    return "".join(sign for sign in f"[{note['portal:number']}] {note['filename']}{page}" if sign.isprintable())


def _reason(error: dict[str, Any]) -> str:
    return str(error.get("message") or error.get("code") or "The answer failed")
