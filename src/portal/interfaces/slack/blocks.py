"""Messages and the Home tab as blocks."""

from collections.abc import Mapping, Sequence
from typing import Any

from portal.core.channels import Button, Content, Outgoing
from portal.interfaces.slack.markdown import escaped, mrkdwn, notice, rendered, sections

EVENT_TYPE = "portal_message"
"""Of the metadata that every message of Portal's carries, so that it is found after a crash."""
ACTION = "portal"
_ROW, _LABEL, _ROWS, _HOME_BLOCKS = 25, 75, 40, 100
_STYLES = {"approve": "primary", "deny": "danger"}


def metadata(nonce: str) -> Mapping[str, Any]:
    """What names a message."""
    return {"event_type": EVENT_TYPE, "event_payload": {"nonce": nonce}}


def nonce_of(message: Mapping[str, Any]) -> str | None:
    """The name of a message of Portal's; None for one without metadata."""
    said = message.get("metadata") or {}
    if said.get("event_type") != EVENT_TYPE:
        return None
    return str(said.get("event_payload", {}).get("nonce", ""))


def body(outgoing: Outgoing) -> Mapping[str, Any]:
    """Text and blocks of a message."""
    text = {"type": "markdown", "text": rendered(outgoing.text)}
    return {"text": notice(outgoing.text), "blocks": [text, *button_rows(outgoing.buttons)]}


def plain_body(outgoing: Outgoing) -> Mapping[str, Any]:
    """The same without any markup, for what Slack did not take as Markdown."""
    pieces = sections(outgoing.text)[:4] or ["…"]
    texts = [{"type": "section", "text": {"type": "plain_text", "text": piece}} for piece in pieces]
    return {"text": escaped(outgoing.text[:500]) or "…", "blocks": [*texts, *button_rows(outgoing.buttons)]}


def button_rows(rows: Sequence[Sequence[Button]]) -> list[Mapping[str, Any]]:
    """Rows of buttons."""
    made: list[Mapping[str, Any]] = []
    for row in rows[:_ROWS]:
        for start in range(0, len(row), _ROW):
            part = row[start : start + _ROW]
            made.append({"type": "actions", "elements": [_button(one, start + at) for at, one in enumerate(part)]})
    return made


def home_view(content: Content) -> Mapping[str, Any]:
    """The Home tab."""
    texts = [{"type": "section", "text": {"type": "mrkdwn", "text": piece}} for piece in sections(mrkdwn(content.text))]
    rows = button_rows(content.buttons)
    head = {"type": "header", "text": {"type": "plain_text", "text": "Portal"}}
    kept = texts[:4]  # all blocks of a view together hold little more than these
    return {"type": "home", "blocks": [head, *kept, *rows][:_HOME_BLOCKS]}


def _button(button: Button, at: int) -> Mapping[str, Any]:
    label = button.label.strip()[:_LABEL] or "…"
    made = {"type": "button", "action_id": f"{ACTION}-{at}", "text": {"type": "plain_text", "text": label}}
    style = _STYLES.get(button.action)
    return {**made, "value": button.data, **({"style": style} if style else {})}
