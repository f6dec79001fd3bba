"""A question to a person as a chat shows it: its words and buttons, and what a press or a reply says to it."""

import json
from collections.abc import Sequence

from portal.channels import forms, words
from portal.core.approvals import ApprovalRecord, Decision
from portal.core.channels import Button
from portal.errors import NotFound

Rows = Sequence[Sequence[Button]]

_LONGEST_ARGUMENTS = 1500
_MOST_CHOICES = 12
_LONGEST_LABEL = 40


def question(record: ApprovalRecord, *, alone: bool = True, replies: bool = True) -> tuple[str, Rows]:
    """How a person is asked, or told what became of it, and the buttons for it. `alone`: nobody else sees it; `replies`
    whether it can be replied to where it is shown."""
    if record.status != "pending":
        if record.question and record.status != "expired":
            return words.ANSWERED, ()
        return words.DECIDED[record.status].format(tool=record.tool), ()
    if record.question and record.call_id:
        return _elicited(record, alone, replies)
    return _asked(record) if record.question else _permission(record)


def _asked(record: ApprovalRecord) -> tuple[str, Rows]:
    """A question of the model's."""
    choices = _choices(record)
    long = len(choices) > _MOST_CHOICES or any(len(one) > _LONGEST_LABEL for one in choices)
    listed = [f"{number}. {one}" for number, one in enumerate(choices, start=1)] if long else []
    why = "\n".join([str(record.arguments.get("question") or record.why), *listed])
    return words.QUESTION.format(tool=record.tool, why=why), _rows(record, choices)


def _elicited(record: ApprovalRecord, alone: bool, replies: bool) -> tuple[str, Rows]:
    """What a tool server asks in the middle of a call: an address is for the person alone."""
    decline = Button(action="deny", value=record.id, label="Decline")
    message, form, url = (record.arguments.get(name) or "" for name in ("message", "form", "url"))
    asks = words.ASKS.format(server=record.toolset, message=message or record.why)
    if url:
        if not alone:
            return words.ON_PAGE.format(asks=asks), [[decline]]
        opened = Button(action="approve", value=record.id, label="I have been there")
        return words.ADDRESS.format(asks=asks, url=url), [[opened, decline]]
    if not isinstance(form, dict):
        return words.ON_PAGE.format(asks=asks), ()
    choices = [label for _, label in forms.single_choice(form)]
    if 0 < len(choices) <= _MOST_CHOICES:
        return asks, [*_rows(record, choices), [decline]]
    if not replies:
        return words.ON_PAGE.format(asks=asks), [[decline]]
    as_it_is = [] if form.get("required") else [Button(action="approve", value=record.id, label="Leave it empty")]
    how = words.FILL_ONE if len(form["properties"]) == 1 else words.FILL_SEVERAL
    return how.format(asks=asks, fields=forms.told(form)), [[*as_it_is, decline]]


def _permission(record: ApprovalRecord) -> tuple[str, Rows]:
    written = json.dumps(record.arguments, ensure_ascii=False, indent=1)
    if len(written) > _LONGEST_ARGUMENTS:
        written = f"{written[:_LONGEST_ARGUMENTS]}…"
    allow = Button(action="approve", value=record.id, label="Allow")
    deny = Button(action="deny", value=record.id, label="Deny")
    rows = [[allow, deny]]
    if "conversation" in record.extents:
        rows.append([Button(action="approve", value=f"{record.id}:conversation", label="Allow in this conversation")])
    text = words.APPROVAL.format(tool=record.tool, why=record.why, arguments=written.replace("```", "'''"))
    return text, rows


def _choices(record: ApprovalRecord) -> Sequence[str]:
    """What is offered to press."""
    if not record.call_id:
        return [str(one) for one in record.arguments.get("choices") or ()]
    form = record.arguments.get("form")
    return [label for _, label in forms.single_choice(form)] if isinstance(form, dict) else ()


def _rows(record: ApprovalRecord, choices: Sequence[str]) -> list[list[Button]]:
    labels = [one if len(one) <= _LONGEST_LABEL else f"{one[: _LONGEST_LABEL - 1]}…" for one in choices]
    return [
        [Button(action="answer", value=f"{record.id}:{at}", label=label or "…")]
        for at, label in enumerate(labels[:_MOST_CHOICES])
    ]


# ---------------------------------------------------------------------- what people say


def pressed(record: ApprovalRecord, action: str, more: str, *, by: str, door: str) -> Decision:
    """What a button under it says. Raises NotFound for a choice that is none."""
    extent, answer = "once", ""
    if action == "answer":
        answer = _picked(record, more)
    elif action == "approve" and record.question and isinstance(record.arguments.get("form"), dict):
        answer = forms.defaults(record.arguments["form"])
    elif more == "conversation":
        extent = "conversation"
    return Decision(approve=action != "deny", extent=extent, answer=answer, by=by, door=door)  # type: ignore[arg-type]


def _picked(record: ApprovalRecord, number: str) -> str:
    choices = _choices(record)
    if not number.isdecimal() or int(number) >= len(choices):
        raise NotFound("What was chosen is not there any more.")
    form = record.arguments.get("form")
    if not record.call_id or not isinstance(form, dict):
        return choices[int(number)]
    return forms.chosen(form, forms.single_choice(form)[int(number)][0])


def replied(record: ApprovalRecord, text: str, *, by: str, door: str) -> Decision:
    """What a reply to it says. Raises BadRequest where nobody can tell."""
    form = record.arguments.get("form")
    answer = text
    if record.call_id and isinstance(form, dict):
        answer = forms.read(form, text)
    elif text.strip().isdecimal() and 1 <= int(text) <= len(_choices(record)):
        answer = _choices(record)[int(text) - 1]
    return Decision(approve=True, answer=answer, by=by, door=door)
