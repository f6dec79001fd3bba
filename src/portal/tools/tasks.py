"""Work in several steps: a plan that the person sees, and parts of it that other workspaces do.

The plan is nowhere but in the conversation: what the calls of these tools say, one after the other, is its state. So it
is stored, replayed, branched and gone on with as the conversation is.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portal.core.items import Item, JsonObject
from portal.core.tool_ports import SubAgent
from portal.core.tools import ToolContext, ToolResult, ToolSpec, text_result
from portal.errors import ToolError
from portal.tools.families import Needs
from portal.tools.several import several

NAME = "tasks"
_MAKE, _UPDATE, _ASK = "make_plan", "update_plan", "ask_workspace"
_MOST = 20
_LONGEST = 200
_PATIENCE = 900.0
_MET = ("done", "skipped")

_TITLE = {"type": "string", "minLength": 1}
_STEP = {
    "type": "object",
    "properties": {
        "title": {**_TITLE, "description": "What is done, in a few words"},
        "needs": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Numbers of the steps that must be done before; left out: the one before it; []: none",
        },
    },
    "required": ["title"],
}
_STEPS = {"type": "array", "items": {"anyOf": [_STEP, _TITLE]}, "minItems": 2, "maxItems": _MOST}


def _object(**properties: JsonObject) -> JsonObject:
    required = [name for name, one in properties.items() if not one.pop("optional", False)]
    return {"type": "object", "properties": properties, "required": required}


def _specs(sub_agent: bool) -> list[ToolSpec]:
    status = {"type": "string", "enum": ["doing", "done", "failed", "skipped"]}
    made = [
        ToolSpec(
            name=_MAKE,
            title="Make a plan",
            description="Show the person a plan. Use it only for a task of three or more steps that build on each "
            "other, before the first of them. Then do every step with the tools for it.",
            parameters=_object(steps=dict(_STEPS)),
            risk="read",
            toolset=NAME,
            fits=several,
        ),
        ToolSpec(
            name=_UPDATE,
            title="Tick a step off",
            description="Say how a step of your plan ended, once you have seen the results of its calls; the next one "
            "begins by itself, its calls can go beside this one. Use doing to begin one beside others, or again.",
            parameters=_object(
                step={"type": "integer", "description": "Its number"},
                status=status,
                note={"type": "string", "description": "What came of it, in a few words", "optional": True},
            ),
            risk="read",
            toolset=NAME,
            after=_MAKE,
        ),
    ]
    ask = ToolSpec(
        name=_ASK,
        title="Ask another workspace",
        description="Hand a self-contained part of the work to another workspace (a specialised assistant), "
        "which uses its own tools and answers. It knows nothing of this conversation. Several can work at once.",
        parameters=_object(
            workspace={"type": "string", "description": "Its name, such as auto-coding or auto-research"},
            task={"type": "string", "description": "All it has to know and do, in full sentences"},
        ),
        risk="read",
        toolset=NAME,
        timeout=_PATIENCE,
    )
    return [*made, ask] if sub_agent else made


# ------------------------------------------------------------------ the plan


@dataclass(slots=True, kw_only=True)
class Step:
    """One step: `since` is how many other calls had ended when it began, `calls` how many ended while it was done."""

    title: str
    needs: Sequence[int]
    status: str = "open"
    note: str = ""
    since: int | None = None
    calls: int | None = None

    def view(self) -> JsonObject:
        """As the page and a model see it."""
        told = {"title": self.title, "needs": [*self.needs], "status": self.status}
        more = {"note": self.note or None, "calls": self.calls}
        return told | {name: value for name, value in more.items() if value is not None}


class Plan:
    """What the plan's calls come to, in their order."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._ended = 0
        self._before = self._seen = 0
        """How many other calls had ended before the last ones were made, and by the last change of the plan."""

    def take(self, items: Iterable[Item], until: str) -> None:
        """Everything before the call `until`; what cannot be done now was refused then."""
        for item in items:
            if item["id"] == until:
                return
            if item["type"] == "mcp_call" and item["server_label"] == NAME and item["name"] in (_MAKE, _UPDATE):
                self._again(item)
            elif item["type"] == "mcp_call" and item["status"] == "completed":
                self._ended += 1

    def _again(self, item: Item) -> None:
        if item.get("error"):
            return
        try:
            self.change(item["name"], json.loads(item["arguments"]))
        except ToolError:
            return

    def change(self, name: str, arguments: JsonObject) -> str:
        """One call; what a model has to know now. Raises ToolError."""
        if self._seen != self._ended:
            self._before, self._seen = self._seen, self._ended
        if name == _MAKE:
            self._make(arguments["steps"])
            told = "The person sees this plan. Do each step with real calls, then update_plan."
        else:
            told = self._update(arguments["step"], arguments["status"], arguments.get("note", ""))
        return " ".join(part for part in (told, self._next()) if part)

    def _make(self, steps: Sequence[JsonObject | str]) -> None:
        made = []
        for number, one in enumerate(steps, 1):
            given: JsonObject = {"title": one} if isinstance(one, str) else one
            needs = given.get("needs", [number - 1] if number > 1 else [])
            if not all(0 < need < number for need in needs):
                raise ToolError(f"Step {number} can only need steps before it, by their numbers from 1.")
            made.append(Step(title=given["title"].strip()[:_LONGEST], needs=sorted(set(needs))))
        self.steps = made

    def _update(self, number: int, status: str, note: str) -> str:
        if not self.steps:
            raise ToolError("There is no plan: call make_plan first.")
        if not 0 < number <= len(self.steps):
            raise ToolError(f"The plan has the steps 1 to {len(self.steps)}.")
        step, told = self.steps[number - 1], ""
        missing = [str(need) for need in step.needs if self.steps[need - 1].status not in _MET]
        if missing and status in ("doing", "done"):
            raise ToolError(f"Step {number} needs {', '.join(missing)} before it: do that first, or skip it.")
        if status == "doing":
            self._begin(step)
        else:
            step.calls = self._ended - (self._before if step.since is None else step.since)
            step.status = status
            if status == "done" and step.calls == 0:
                told = f"No tool was used for step {number}: if it takes one, set it to doing and call that."
        step.note = note.strip()[:_LONGEST]
        return told

    def _begin(self, step: Step) -> None:
        step.status, step.since, step.calls = "doing", self._ended, None

    def _next(self) -> str:
        """Where nothing goes on, the first step that can begin does."""
        ready = [step for step in self.steps if step.status == "open" and self._ready(step)]
        if ready and not any(step.status == "doing" for step in self.steps):
            self._begin(ready.pop(0))
        now = [self._named(step) for step in self.steps if step.status == "doing"]
        if now:
            beside = ", ".join(self._named(step) for step in ready)
            return f"Now: {', '.join(now)}." + (f" Beside that you can begin: {beside}." if beside else "")
        if all(step.status in _MET for step in self.steps):
            return "Every step is done: answer now."
        return (
            "A step failed, and the others need it: do it again, skip it, make another plan, or answer what is missing."
        )

    def _ready(self, step: Step) -> bool:
        return all(self.steps[need - 1].status in _MET for need in step.needs)

    def _named(self, step: Step) -> str:
        return f"step {self.steps.index(step) + 1} ({step.title})"

    def text(self) -> str:
        """All of it, as JSON on one line."""
        return json.dumps({"steps": [step.view() for step in self.steps]}, ensure_ascii=False, separators=(",", ":"))


class Tasks:
    """The toolset."""

    name = NAME

    def __init__(self, agent: SubAgent | None = None) -> None:
        """Without an agent no other workspace can be asked."""
        self._agent = agent
        self._specs = _specs(agent is not None)

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return self._specs

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        if name == _ASK and self._agent is not None:
            return await self._agent.ask(context, arguments["workspace"], arguments["task"])
        plan = Plan()
        plan.take(context.earlier(), context.call_id)
        told = plan.change(name, arguments)
        return text_result(f"{plan.text()}\n{told}")

    async def aclose(self) -> None:
        """See Toolset."""


def create(needs: Needs) -> Tasks:
    """The family."""
    return Tasks(needs.agent)
