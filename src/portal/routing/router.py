"""The router: from the name a client asks for to the model that answers, in memory, explained.

In this order: a plain model by its name; a workspace with its own task; for a workspace without one the user's rules,
then what the classifier says of the request. What a model must be able to do comes before all of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from portal.core.ask import Ask
from portal.core.decision import Candidate, Route
from portal.core.gate import Gate, Patience
from portal.core.model import ModelInfo
from portal.core.ports import Backend
from portal.core.terms import Bounding, Standing, current, nothing, refuse_model, standing_of
from portal.core.workspaces import Workspace
from portal.errors import Forbidden, NoModel
from portal.routing.consultant import Consultant
from portal.routing.judgement import Judge, Judgement
from portal.routing.ranking import ENGINE_TASKS, LAST, Ranked, Wanted, absent, rank
from portal.routing.registry import AWAY, Registry
from portal.routing.rules import Rule, first_match
from portal.routing.second_look import SecondLook
from portal.routing.workspaces import Workspaces

_NOTHING = (
    "No model is installed. Install Ollama and pull a model, point Portal at a model server that is running, "
    "or run the embedded engine."
)
_SURE = 0.5
"""A classifier's confidence from which a conversation may leave the model it is with, and nobody else is asked."""


class Router:
    """Implements the port Models."""

    def __init__(
        self,
        *,
        registry: Registry,
        workspaces: Workspaces,
        judge: Callable[[], Judge] | None = None,
        consultant: Consultant | None = None,
        rules: Sequence[Rule] = (),
        default_model: str = "",
        patience: Patience = Patience(),  # noqa: B008 -- frozen
        bounding: Bounding = nothing,
    ) -> None:
        """`judge` gives the classifier, which is loaded when it is first needed; `default_model` is what `auto` means
        where it can do what is needed; `patience` goes with every route; `bounding` tells what people may use."""
        self._bounding = bounding
        self._registry = registry
        self._workspaces = workspaces
        self._judge = judge
        self._consultant = consultant
        self._second_look: SecondLook | None = None
        self._makes: Callable[[str], bool] = lambda task: False
        self.tune(rules=rules, default_model=default_model, patience=patience)

    def tune(self, *, rules: Sequence[Rule], default_model: str, patience: Patience) -> None:
        """Hold by these from now on."""
        self._rules = rules
        self._default = default_model
        self._patience = patience

    def ask(self, *, judge: Callable[[], Judge] | None, consultant: Consultant | None) -> None:
        """Have these look at requests from now on."""
        self._judge, self._consultant = judge, consultant

    def look_again(self, second_look: SecondLook) -> None:
        """Have this look at what the classifier is unsure of, from now on."""
        self._second_look = second_look

    def count_on(self, makes: Callable[[str], bool]) -> None:
        """From now on this tells whether an engine is there for a task whose product no chat model makes by itself."""
        self._makes = makes

    def list(self) -> Sequence[ModelInfo]:
        """See Models: within the terms of the request under way."""
        standing = current.get()
        known = self._registry.list()
        return known if standing is None else [one for one in known if standing.names_model(one.id)]

    def workspaces(self, owner: str = "") -> Sequence[Workspace]:
        """See Models."""
        standing = current.get()
        allowed = [one for one in self._workspaces.list(owner) if not owner or one.allows(owner)]
        return allowed if standing is None else [one for one in allowed if standing.names_workspace(one.name)]

    def workspace(self, name: str, owner: str) -> Workspace | None:
        """See Models."""
        found = self._workspaces.get(name, owner)
        return found if found is not None and found.allows(owner) else None

    def find(self, model: str) -> tuple[Backend, ModelInfo]:
        """See Models."""
        return self._registry.find(model)

    async def refresh(self) -> None:
        """See Models."""
        await self._registry.refresh()

    def route(self, ask: Ask) -> Route:
        """See Models."""
        standing = standing_of(ask.owner, self._bounding)
        workspace = self._workspace(ask, standing)
        if workspace is None:
            return self._plain(ask.model, standing)
        return self.route_in(workspace, ask)

    def route_in(self, workspace: Workspace, ask: Ask, *, counted: bool = False) -> Route:
        """The same within this workspace, whether it is in use or only being tried; `counted`: see Models."""
        standing = standing_of(ask.owner, self._bounding)
        if counted and standing is not None:
            if not standing.names_workspace(workspace.name):
                raise refuse_model(workspace.name)
            standing.calling()
        return self._in_workspace(ask, workspace, self._rule(ask, workspace), self._judged(ask))

    async def decide(self, ask: Ask, *, counted: bool = True, patient: bool = False) -> Route:
        """See Models."""
        await self._registry.begun()
        standing = standing_of(ask.owner, self._bounding)
        workspace = self._workspace(ask, standing)
        plain = None if workspace is not None else self._plain(ask.model, standing)
        if standing is not None and counted:
            standing.calling()
        if workspace is None:
            assert plain is not None
            return plain
        rule, judged = self._rule(ask, workspace), self._judged(ask)
        if ask.text and not workspace.task and rule is None:
            judged = await self._looked_at_again(ask, judged, patient)
        return self._in_workspace(ask, workspace, rule, judged)

    async def _looked_at_again(self, ask: Ask, judged: Judgement | None, patient: bool) -> Judgement | None:
        """Where the classifier is unsure: by what a request that stands alone means, then by a model that is asked."""
        alone = not ask.history and ask.needs.isdisjoint(("vision", "audio"))
        if judged is not None and judged.confidence < _SURE and alone and self._second_look is not None:
            judged = await self._second_look.judge(ask.text, judged, patient=patient)
        if self._consultant is not None and (judged is None or judged.confidence < _SURE):
            judged = await self._consultant.judge(ask) or judged
        return judged

    def _workspace(self, ask: Ask, standing: Standing | None) -> Workspace | None:
        workspace = self._workspaces.get(ask.model, ask.owner) or self._tagged(ask)
        if workspace is not None and workspace.owner not in ("", ask.owner) and self._registry.has(ask.model):
            return None  # what others share never stands in the place of a model
        if workspace is not None and not workspace.allows(ask.owner):
            raise Forbidden(f"The workspace {workspace.name!r} is not for this user.", param="model")
        if workspace is not None and standing is not None and not standing.names_workspace(workspace.name):
            raise refuse_model(workspace.name)
        return workspace

    def _tagged(self, ask: Ask) -> Workspace | None:
        """A workspace under its name with the tag `:latest`, where no model has that very name."""
        if not ask.model.endswith(":latest") or any(info.id == ask.model for info in self._registry.list()):
            return None
        return self._workspaces.get(ask.model.removesuffix(":latest"), ask.owner)

    def _plain(self, model: str, standing: Standing | None) -> Route:
        candidates = self._registry.candidates(model)
        if standing is not None and not all(standing.names_model(one.model.id) for one in candidates):
            raise refuse_model(model)
        return Route(
            requested=model,
            candidates=candidates,
            reason="asked for by name",
            patience=self._patience,
        )

    def _rule(self, ask: Ask, workspace: Workspace) -> Rule | None:
        return None if workspace.task or workspace.prefer else first_match(self._rules, ask.text)

    def _in_workspace(self, ask: Ask, workspace: Workspace, rule: Rule | None, judged: Judgement | None) -> Route:
        task = workspace.task or (rule.task if rule else "") or (judged.task if judged else "")
        wishes = self._preferences(workspace, task, rule, ask.owner)
        wanted = Wanted(
            needs=ask.needs,
            task=task,
            difficulty=judged.difficulty if judged else None,
            tokens=ask.tokens,
            strategy=workspace.strategy,
            prefer=[wish for wish, _ in wishes],
            whose=[whose for _, whose in wishes],
        )
        standing = standing_of(ask.owner, self._bounding)
        known = self._registry.list()
        allowed = known if standing is None else [one for one in known if standing.answers(one.id)]
        ranked = rank(allowed, wanted)
        if known and not allowed:
            raise refuse_model(ask.model)
        if (not ranked or ranked[0].model.id in LAST) and (away := self._registry.away()):
            self._registry.missed()
            raise NoModel(away, retry_after=AWAY)
        if not ranked:
            self._registry.missed()
            raise NoModel(self._lacking(ask.needs))
        sure = bool(workspace.task or rule) or judged is None or judged.confidence >= _SURE
        order, stays = (ranked, False) if rule and rule.model else _sticky(ask, task if sure else "", ranked)
        candidates = self._on_servers(order)
        ready = _resting_last(candidates)
        return Route(
            requested=ask.model,
            candidates=ready,
            reason=_reason(workspace, task, rule, judged, order[0], stays)
            + self._without_wish(wishes)
            + self._without_engine(task, order[0].model)
            + _instead(candidates[0], ready[0]),
            patience=self._patience,
            workspace=workspace,
            task=task or None,
            difficulty=wanted.difficulty,
            needs=ask.needs,
            rule=rule.name if rule else None,
        )

    def _on_servers(self, order: Sequence[Ranked]) -> Sequence[Candidate]:
        """Each model on every server that has it, once: a second one may have a name of its own as well."""
        made: dict[Gate, Candidate] = {}
        for one in order:
            for found in self._registry.candidates(one.model.id):
                if found.gate not in made:
                    made[found.gate] = Candidate(found.backend, found.model, one.score, one.why, found.gate)
        return [*made.values()]

    def _judged(self, ask: Ask) -> Judgement | None:
        if self._judge is None or not ask.text:
            return None
        return self._judge().judge(
            ask.text, tuple(ask.history), has_image="vision" in ask.needs, has_audio="audio" in ask.needs
        )

    def _preferences(self, workspace: Workspace, task: str, rule: Rule | None, owner: str) -> Sequence[tuple[str, str]]:
        """The rule's model, the workspace's wishes, the settings' default, those of the task's workspace: each with
        who wishes it."""
        own = [(wish, "this workspace") for wish in workspace.prefer]
        if workspace.task:
            return own
        named = [(rule.model, f"your rule {rule.name!r}")] if rule and rule.model else []
        default = [(self._default, "your setting default_model")] if self._default else []
        special = self._workspaces.for_task(task, owner)
        lent = special is not None and special.allows(owner)
        theirs = [(wish, f"the workspace {special.name}") for wish in special.prefer] if special and lent else []
        return [*named, *own, *default, *theirs]

    def _lacking(self, needs: frozenset[str]) -> str:
        """That nothing installed can do it, and what to install."""
        models = self._registry.list()
        if not models:
            return _NOTHING
        if any(model.paid and needs <= model.capabilities for model in models):
            return (
                "Only a service in the cloud could answer this, and Portal does not choose one by itself. "
                "Name one of its models, let a workspace prefer it, or make it the default_model."
            )
        missing = [need for need in sorted(needs) if not any(need in model.capabilities for model in models)]
        together = f"No installed model can do this (it takes: {', '.join(sorted(needs))})."
        # one that lacks nothing by itself lacks them together: name what is rarest beside chat
        wanted = missing or sorted(needs - {"chat", "tools"}) or sorted(needs)
        known = (self._registry.families.install.get(need) for need in wanted)
        advice = "; ".join(dict.fromkeys(words for words in known if words))
        return f"{together} Install one that can: {advice}." if advice else together

    def _without_wish(self, wishes: Sequence[tuple[str, str]]) -> str:
        """Told where the dearest wish is for a model that is not there."""
        if not wishes or not absent(wishes[0][0], self._registry.list()):
            return ""
        wish, whose = wishes[0]
        return f"; {wish}, which {whose} prefers, is not installed"

    def _without_engine(self, task: str, model: ModelInfo) -> str:
        if task not in ENGINE_TASKS or task in model.capabilities or self._makes(task):
            return ""
        install = self._registry.families.install.get("sound" if task == "audio" else task, "")
        return f"; {task.replace('_', ' ')} takes an engine that is not here, so a chat model answers" + (
            f" (install {install})" if install else ""
        )


def _sticky(ask: Ask, task: str, ranked: Sequence[Ranked]) -> tuple[Sequence[Ranked], bool]:
    """The same order with the conversation's model first, unless the task has changed: it is empty where that is not
    sure, or nobody looked."""
    last = ask.last or {}
    staying = [one for one in ranked if one.model.id == last.get("resolved_model")]
    changed = last.get("requested_model") != ask.model or (bool(task) and task != last.get("task"))
    if changed or not staying or staying[0] is ranked[0] or _holds_less(staying[0].model, ranked[0].model, ask.tokens):
        return ranked, False
    return [*staying, *(one for one in ranked if one is not staying[0])], True


def _holds_less(staying: ModelInfo, first: ModelInfo, tokens: int) -> bool:
    """Whether nothing holds all of it, and the conversation's model less than the one that holds the most."""
    return staying.window is not None and staying.window < min(tokens, first.window or 0)


def _resting_last(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """In the same order, but those that rest after failures behind the others, and saying so."""
    resting = {one.gate for one in candidates if one.gate.resting()}
    if not resting:
        return candidates
    told = [replace(one, why=f"{one.why}; {one.gate.rest()}") for one in candidates if one.gate in resting]
    return [*(one for one in candidates if one.gate not in resting), *told]


def _instead(wanted: Candidate, first: Candidate) -> str:
    """What to add to the reason where the best one rests."""
    if wanted.gate is first.gate:
        return ""
    names = (wanted.model.id, first.model.id)
    if names[0] == names[1]:
        names = (wanted.model.backend, first.model.backend)
    return f"; {names[0]} is {wanted.gate.rest()}, so {names[1]} answers"


def _reason(
    workspace: Workspace, task: str, rule: Rule | None, judged: Judgement | None, first: Ranked, stays: bool
) -> str:
    """`auto: looks like coding by its meaning, the best of the 3 models that could answer (8B parameters)`."""
    if stays:
        return f"{workspace.name}: the conversation stays with it"
    shown = task.replace("_", " ") if task and not workspace.task else ""
    if rule and rule.task:
        return f"{workspace.name}: {shown} by your rule {rule.name!r}, {first.why}"
    by = f" {judged.by}" if judged and judged.by else ""
    about = f"looks like {shown}{by}, " if shown and shown != "general" else ""
    return f"{workspace.name}: {about}{first.why}"
