"""Turns that an MCP client waits for: asked of a workspace, or a single tool that is to run. What a person has to allow
is asked through the client where it can, else it waits in Portal's queue."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from portal.core.agent import Agent, Turn
from portal.core.approvals import ApprovalRecord, Decision
from portal.core.errand import errand
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject, text_of
from portal.core.ports import Responses
from portal.core.run import Run
from portal.core.scene import tainted_at
from portal.core.tool_ports import Approvals
from portal.core.tools import ToolResult
from portal.interfaces.mcp.serving import Answer, Asker, Question

DOOR = "mcp"
_RECENT = 100
_LONGEST_ARGUMENTS = 2000
_NEWS = 400
"""Characters of the text that is written, between two reports of it."""
_WAITS = "approval_required"


class Runs:
    """Starts turns and follows them to their end, or to what a person is asked."""

    def __init__(self, *, agent: Agent, approvals: Approvals, responses: Responses) -> None:
        self._agent = agent
        self._approvals = approvals
        self._responses = responses

    async def ask(
        self, owner: str, workspace: str, text: str, conversation_id: str | None, asker: Asker
    ) -> ToolResult | Question:
        """Have a workspace answer. Raises PortalError."""
        turn = Turn(
            owner=owner, model=workspace, input=[_said(text)], door=DOOR, conversation_id=conversation_id, asks=True
        )
        return await self._followed(await self._agent.start(turn), asker)

    async def errand(
        self, owner: str, workspace: str, tool: str, arguments: JsonObject, asker: Asker
    ) -> ToolResult | Question:
        """Have one tool run. A model of the client's chose it, and nobody here knows what that one has read: its words
        count as a stranger's. Raises PortalError."""
        said = {**_said(f"Run the tool {tool}."), "portal:untrusted": True}
        turn = Turn(
            owner=owner, model=workspace, input=[said], request=errand(tool, arguments), door=DOOR, private=True
        )
        return await self._followed(await self._agent.start(turn), asker)

    async def go_on(self, owner: str, answer: Answer, asker: Asker) -> ToolResult | Question:
        """After a person was asked through the client. Raises PortalError."""
        waiting = await self._pending(owner, answer.state)
        if waiting and not answer.action:
            return _question(answer.state, waiting)
        if answer.action == "cancel":
            return _queued(answer.state, waiting)
        if not waiting:
            return await self.result(owner, answer.state)
        run = await self._agent.decide(owner, _decisions(owner, waiting, answer))
        return await self.result(owner, answer.state) if run is None else await self._followed(run, asker)

    async def result(self, owner: str, response_id: str) -> ToolResult:
        """How far a turn is that waited for a person. Raises NotFound."""
        newest = await self._newest(owner, response_id)
        if await self._agent.runs_anywhere(owner, [newest]):
            return ToolResult(text=f"It is under way: ask for its result again. {newest}")
        if waiting := await self._pending(owner, newest):
            return _queued(newest, waiting)
        found = await self._responses.get(owner, newest)
        view = {"status": found.response.status, "error": found.response.error}
        return _brought({**view, "output": [one.item for one in found.items if one.side == "output"]})

    async def _newest(self, owner: str, response_id: str) -> str:
        """The response that a turn went on with last, after decisions. Raises NotFound."""
        newest = (await self._responses.get(owner, response_id)).response.id
        for one in reversed(await self._responses.recent(owner, _RECENT)):
            newest = one.response.id if one.response.previous_id == newest else newest
        return newest

    async def _pending(self, owner: str, response_id: str) -> Sequence[ApprovalRecord]:
        asked = await self._approvals.of_response(owner, response_id)
        return [one for one in asked if one.status == "pending"]

    async def _followed(self, run: Run, asker: Asker) -> ToolResult | Question:
        try:
            await _told(run, asker)
            done = await run.result()
        except BaseException:  # a client that is gone, above all
            run.cancel()
            raise
        if (done["incomplete_details"] or {}).get("reason") != _WAITS:
            return _signed(_brought(done), run.record.conversation_id)
        waiting = await self._pending(run.record.owner, run.id)
        return _question(run.id, waiting) if asker.asks and waiting else _queued(run.id, waiting)


async def _told(run: Run, asker: Asker) -> None:
    """Report what happens until it is over."""
    written = told = 0
    async for event in run.events():
        match event["type"]:
            case "portal:progress" | "portal:tool_progress":
                asker.report(str(event.get("detail") or event.get("state") or ""))
            case "response.output_item.added" if event["item"]["type"] == "mcp_call":
                asker.report(f"runs {event['item']['name']}")
            case "response.output_text.delta":
                written += len(event["delta"])
                if written - told >= _NEWS or not told:
                    told = max(written, 1)
                    asker.report(f"writes its answer ({written} characters so far)")


def _said(text: str) -> Item:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": new_id("msg"), "role": "user", "status": "completed", "content": content}


def _brought(done: JsonObject) -> ToolResult:
    """What a turn that is over came to; of an errand that is its tool's result."""
    output: Sequence[Item] = done["output"]
    calls = [item for item in output if item["type"] == "mcp_call"]
    said = "\n\n".join(filter(None, (text_of(item) for item in output if item["type"] == "message")))
    failed = done["status"] != "completed"
    if not said and calls:
        last = calls[-1]
        said, failed = last.get("output") or last.get("error") or "", failed or last["status"] != "completed"
    if failed and not said:
        said = (done.get("error") or {}).get("message") or f"It ended as {done['status']}."
    kept = [file for item in calls for file in item.get("portal:files", ())]
    return ToolResult(text=said or "It is done.", failed=failed, kept=kept, untrusted=tainted_at(output) is not None)


def _signed(result: ToolResult, conversation_id: str | None) -> ToolResult:
    """With what it takes to go on."""
    note = f"\n\n[conversation: {conversation_id}]" if conversation_id else ""
    return replace(result, text=result.text + note)


def _queued(response_id: str, waiting: Sequence[ApprovalRecord]) -> ToolResult:
    names = ", ".join(dict.fromkeys(one.tool for one in waiting)) or "a call"
    return ToolResult(
        text=f"Not done yet: a person has to allow {names} first. It waits among Portal's approvals (on its page, or "
        f"`portal approvals`). Afterwards get_result tells what came of it: {response_id}"
    )


def _question(response_id: str, waiting: Sequence[ApprovalRecord]) -> Question:
    fields, lines = dict[str, JsonObject](), list[str]()
    for number, one in enumerate(waiting, 1):
        if one.question:
            lines.append(str(one.arguments.get("question") or one.why))
            fields[f"answer_{number}"] = {"type": "string", "title": "Your answer"}
            continue
        arguments = json.dumps(one.arguments, ensure_ascii=False, indent=1)[:_LONGEST_ARGUMENTS]
        lines.append(f"May Portal run {one.tool}? {one.why}\n{arguments}")
        fields[f"allow_{number}"] = {"type": "boolean", "title": f"Run {one.tool}", "default": False}
    schema: JsonObject = {"type": "object", "properties": fields, "required": [*fields]}
    return Question(text="\n\n".join(lines), schema=schema, state=response_id)


def _decisions(owner: str, waiting: Sequence[ApprovalRecord], answer: Answer) -> Mapping[str, Decision]:
    made: dict[str, Decision] = {}
    for number, one in enumerate(waiting, 1):
        said = answer.content.get(f"{'answer' if one.question else 'allow'}_{number}")
        yes = answer.action == "accept" and (isinstance(said, str) if one.question else said is True)
        text = said if isinstance(said, str) else ""
        made[one.id] = Decision(approve=yes, answer=text, by=owner, door=DOOR)
    return made
