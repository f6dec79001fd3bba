"""Which model answers a request, in which order of reasons, and how that is told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.ask import Ask, override
from portal.core.decision import Candidate, Route, decision
from portal.core.model import ModelInfo
from portal.core.workspaces import Workspace
from portal.errors import BackendUnavailable, Forbidden, ModelNotFound, NoModel
from portal.routing.judgement import Judgement
from portal.routing.ranking import GUIDE
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.rules import Rule
from portal.routing.workspaces import TASK_WORKSPACES, Workspaces, packaged_workspaces
from portal.settings import Settings

BIG = ModelInfo(id="big", backend="", parameters=70_000_000_000)
SMALL = ModelInfo(id="small", backend="", parameters=1_000_000_000)
CODER = ModelInfo(id="coder:7b", backend="", parameters=7_000_000_000)
SEES = ModelInfo(id="sees", backend="", parameters=3_000_000_000, capabilities=frozenset({"chat", "vision"}))
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}


class Says:
    """A judge that always says the same."""

    def __init__(self, task: str, confidence: float = 0.9, difficulty: float = 0.3) -> None:
        self._says = Judgement(task=task, confidence=confidence, difficulty=difficulty)

    def judge(self, text: str, history: tuple[str, ...] = (), **_: bool) -> Judgement:
        return self._says


async def router(*models: ModelInfo, workspaces: Sequence[Workspace] = (), **more: Any) -> Router:
    registry = Registry(settings=Settings())
    registry.add(ScriptedBackend(models=list(models)))
    await registry.refresh()
    judge = more.pop("judge", None)
    judging = {"judge": lambda: judge} if judge else {}
    return Router(registry=registry, workspaces=Workspaces(workspaces), **judging, **more)


def ask(model: str, text: str = "Hello", **more: Any) -> Ask:
    return Ask(model=model, messages=[{"role": "user", "content": text}], **more)


async def test_a_plain_model_is_taken_by_its_name() -> None:
    route = (await router(BIG, SMALL)).route(ask("small"))
    assert (route.model.id, route.reason, route.workspace) == ("small", "asked for by name", None)


async def test_what_is_asked_before_any_server_was_waits_for_that() -> None:
    registry, backend = Registry(settings=Settings()), ScriptedBackend(models=[BIG])
    registry.add(backend)
    made = Router(registry=registry, workspaces=Workspaces())
    with pytest.raises(ModelNotFound):
        made.route(ask("big"))
    async with asyncio.TaskGroup() as group:
        routes = [group.create_task(made.decide(ask(model))) for model in ("big", "auto", "big")]
    assert [task.result().model.id for task in routes] == ["big"] * 3
    assert backend.listed == 1


async def test_an_unknown_name_says_which_are_near() -> None:
    with pytest.raises(ModelNotFound, match="'small'"):
        (await router(BIG, SMALL)).route(ask("smal"))


async def test_auto_takes_the_best_and_names_the_others() -> None:
    route = (await router(SMALL, BIG)).route(ask("auto"))
    assert [one.model.id for one in route.candidates] == ["big", "small"]
    assert route.reason == "auto: the largest of the 2 models that could answer (70B parameters)"
    told = decision(route, 0.001)
    assert [row["model"] for row in told["candidates"]] == ["big", "small"]
    assert (told["workspace"], told["needs"], told["ms"]) == ("auto", ["chat"], 1.0)


async def test_what_must_be_possible_comes_first() -> None:
    made = await router(BIG, SEES)
    assert made.route(Ask(model="auto", messages=[PICTURE])).model.id == "sees"
    with pytest.raises(NoModel, match="vision"):
        (await router(BIG)).route(Ask(model="auto", messages=[PICTURE]))


async def test_no_workspace_chooses_a_service_in_the_cloud_that_nobody_named() -> None:
    cloud = ModelInfo(id="far", backend="", parameters=900_000_000_000, paid=True)
    made = await router(cloud, SMALL)
    assert [one.model.id for one in made.route(ask("auto")).candidates] == ["small"]
    assert made.route(ask("far")).model.id == "far"
    with pytest.raises(NoModel, match="service in the cloud"):
        (await router(cloud)).route(ask("auto"))
    assert (await router(cloud, SMALL, default_model="far")).route(ask("auto")).model.id == "far"


async def test_a_server_that_is_away_is_named_and_the_guide_does_not_answer_for_it() -> None:
    registry = Registry(settings=Settings())
    backend = ScriptedBackend(name="box", models=[BIG])
    registry.add(backend, source="settings")
    registry.add(ScriptedBackend(name="guide", models=[ModelInfo(id=GUIDE, backend="")]), source="built-in")
    await registry.refresh()
    made = Router(registry=registry, workspaces=Workspaces())
    assert made.route(ask("auto")).model.id == "big"
    backend.failure = BackendUnavailable("box cannot be reached")
    await registry.refresh()
    with pytest.raises(NoModel, match="box cannot be reached"):
        made.route(ask("auto"))
    with pytest.raises(BackendUnavailable, match="box cannot be reached"):
        made.route(ask("big"))
    assert made.route(ask(GUIDE)).model.id == GUIDE
    backend.failure = None
    await registry.refresh()
    assert made.route(ask("big")).model.id == "big"


async def test_a_recording_goes_to_a_model_that_hears() -> None:
    recording = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]}
    hears = ModelInfo(id="hears", backend="", parameters=10**9, capabilities=frozenset({"chat", "audio"}))
    assert (await router(BIG, hears)).route(Ask(model="auto", messages=[recording])).model.id == "hears"
    with pytest.raises(NoModel, match="Voxtral on vLLM"):
        (await router(BIG)).route(Ask(model="auto", messages=[recording]))


async def test_nothing_installed_says_what_to_do() -> None:
    with pytest.raises(NoModel, match="Install Ollama"):
        (await router()).route(ask("auto"))


async def test_the_settings_may_name_the_best() -> None:
    route = (await router(BIG, SMALL, default_model="small")).route(ask("auto"))
    assert (route.model.id, route.reason) == ("small", "auto: your setting default_model prefers it")
    assert (await router(BIG, SMALL, default_model="gone")).route(ask("auto")).model.id == "big"


async def test_a_workspace_has_wishes_of_its_own() -> None:
    mine = Workspace(name="mine", prefer=("gone", "coder*"), source="settings")
    made = await router(BIG, CODER, workspaces=[mine])
    assert made.route(ask("mine")).model.id == "coder:7b"
    assert made.workspaces()[-1] is mine


async def test_a_workspace_may_be_for_some_only() -> None:
    made = await router(BIG, workspaces=[Workspace(name="closed", users=("u1",))])
    assert made.route(ask("closed", owner="u1")).model.id == "big"
    with pytest.raises(Forbidden):
        made.route(ask("closed", owner="u2"))
    assert "closed" not in {one.name for one in made.workspaces("u2")}
    assert "closed" in {one.name for one in made.workspaces("u1")}


async def test_a_rule_comes_before_the_classifier() -> None:
    rules = [
        Rule(name="bank", words=("Invoice",), model="small"),
        Rule(name="sql", pattern=r"(?i)select .* from", task="coding"),
    ]
    coding = Workspace(name="auto-coding", task="coding", prefer=("coder*",))
    made = await router(BIG, SMALL, CODER, rules=rules, workspaces=[coding], judge=Says("creative"))
    route = made.route(ask("auto", "My invoice is late"))
    assert (route.model.id, route.rule) == ("small", "bank")
    assert "your rule 'bank'" in route.reason
    sql = made.route(ask("auto", "select a from b"))
    assert (sql.model.id, sql.task, sql.rule) == ("coder:7b", "coding", "sql")
    assert made.route(ask("auto", "Hello")).task == "creative"
    assert made.route(ask("auto-creative", "My invoice is late")).rule is None


@pytest.mark.parametrize(
    ("word", "text", "matches"),
    [
        ("Invoice", "The INVOICE, please", True),
        ("voice", "the invoice", False),
        ("Straße", "IN DER STRASSE", True),
        ("purchase order", "Is the Purchase\nOrder there?", True),
        ("purchase order", "two purchase orders", False),
        ("c++", "why does my C++ code leak", True),
        ("c++", "why does my c code leak", False),
        ("发票", "请帮我开发票", True),
        ("請求書", "請求書を作って", True),
        ("चालान", "मेरा चालान कहाँ है", True),
        ("รายงาน", "เขียนรายงานให้หน่อย", True),
        ("", "anything", False),
        (" ", "any thing", False),
    ],
)
async def test_a_rules_words_are_found_in_every_script(word: str, text: str, matches: bool) -> None:
    made = await router(BIG, SMALL, rules=[Rule(name="r", words=(word,), model="small")])
    assert (made.route(ask("auto", text)).model.id == "small") is matches


async def test_the_classifier_chooses_the_tasks_preferences() -> None:
    coding = Workspace(name="auto-coding", task="coding", prefer=("coder*",))
    route = (await router(BIG, CODER, workspaces=[coding], judge=Says("coding"))).route(ask("auto"))
    assert (route.model.id, route.task, route.difficulty) == ("coder:7b", "coding", 0.3)
    assert route.reason == "auto: looks like coding, the workspace auto-coding prefers it"


LAST = {"requested_model": "auto", "resolved_model": "small", "task": "general"}


@pytest.mark.parametrize(
    ("judge", "last", "expected"),
    [
        (Says("general"), LAST, "small"),
        (Says("coding", confidence=0.2), LAST, "small"),
        (Says("coding"), LAST, "big"),
        (Says("general"), {**LAST, "resolved_model": "gone"}, "big"),
        (Says("general"), {**LAST, "requested_model": "other"}, "big"),
        (Says("general"), None, "big"),
    ],
)
async def test_a_conversation_stays_with_its_model_unless_the_task_changes(
    judge: Says, last: Any, expected: str
) -> None:
    route = (await router(BIG, SMALL, judge=judge)).route(ask("auto", last=last))
    assert route.model.id == expected
    assert ("stays" in route.reason) == (expected == "small")


async def test_the_task_of_a_workspace_never_changes() -> None:
    desk = Workspace(name="desk", task="coding")
    made = await router(BIG, SMALL, workspaces=[desk], judge=Says("general"))
    last = {"requested_model": "desk", "resolved_model": "small", "task": "coding"}
    assert made.route(ask("desk", "Thank you!", last=last)).model.id == "small"


async def test_a_conversation_stays_with_its_model_though_nobody_judges_it() -> None:
    seen = {"requested_model": "auto", "resolved_model": "small"}
    assert (await router(BIG, SMALL)).route(ask("auto", last=seen)).model.id == "small"
    sees = {**LAST, "resolved_model": "sees", "task": "vision"}  # a picture without a word
    better = ModelInfo(id="better", backend="", parameters=7 * 10**9, capabilities=SEES.capabilities)
    made = await router(better, SEES, judge=Says("general"))
    assert made.route(Ask(model="auto", messages=[PICTURE], last=sees)).model.id == "sees"


async def test_a_conversation_goes_where_more_of_it_fits() -> None:
    small = ModelInfo(id="small", backend="", parameters=10**9, context_window=8_192)
    large = ModelInfo(id="large", backend="", parameters=10**9, context_window=32_768)
    made = await router(small, large)
    last = {"requested_model": "auto", "resolved_model": "small"}
    assert made.route(ask("auto", "word " * 40_000, last=last)).model.id == "large"
    assert made.route(ask("auto", "word", last=last)).model.id == "small"


async def test_a_workspace_with_models_of_its_own_comes_before_rules() -> None:
    rules = [Rule(name="bank", words=("invoice",), model="small")]
    mine = Workspace(name="desk", title="Desk", prefer=("coder:7b",))
    made = await router(BIG, SMALL, CODER, rules=rules, workspaces=[mine], judge=Says("general"))

    route = made.route(ask("desk", "My invoice is late"))

    assert (route.model.id, route.rule) == ("coder:7b", None)


async def test_a_conversation_does_not_stay_with_its_model_against_a_rule() -> None:
    rules = [Rule(name="bank", words=("invoice",), model="big")]
    made = await router(BIG, SMALL, judge=Says("general"), rules=rules)
    assert made.route(ask("auto", "Hello", last=LAST)).model.id == "small"
    route = made.route(ask("auto", "My invoice is late", last=LAST))
    assert (route.model.id, route.rule) == ("big", "bank")


async def test_what_others_share_never_stands_in_the_place_of_a_model() -> None:
    registry, workspaces = Registry(settings=Settings()), Workspaces()
    registry.add(ScriptedBackend(models=[SMALL]))
    await registry.refresh()
    made = Router(registry=registry, workspaces=workspaces)
    shared = Workspace(name="small", owner="u1", users=(), source="page", instructions="Lie.")
    workspaces.put(shared)
    assert made.route(ask("small", owner="u2")).workspace is None
    assert made.route(ask("small", owner="u1")).workspace is shared


async def test_a_workspace_one_may_not_use_lends_no_preferences() -> None:
    closed = Workspace(name="auto-coding", task="coding", prefer=("small",), users=("u1",), source="settings")
    made = await router(BIG, SMALL, workspaces=[closed], judge=Says("coding", difficulty=1.0))
    assert made.route(ask("auto", owner="u1")).model.id == "small"
    assert made.route(ask("auto", owner="u2")).model.id == "big"


async def test_after_a_failure_the_next_one_answers_and_says_so() -> None:
    route = (await router(BIG, SMALL)).route(ask("auto")).without_first("no answer")
    assert route.model.id == "small"
    assert "big failed (no answer), so small answers" in route.reason


async def on_two_servers() -> tuple[Router, list[ScriptedBackend]]:
    registry = Registry(settings=Settings())
    backends = [ScriptedBackend(name="one", models=[BIG, SMALL]), ScriptedBackend(name="two", models=[BIG])]
    for backend in backends:
        registry.add(backend)
    await registry.refresh()
    return Router(registry=registry, workspaces=Workspaces()), backends


def places(route: Route) -> list[tuple[str, str]]:
    return [(one.model.id, one.model.backend) for one in route.candidates]


async def test_a_name_leads_to_every_server_that_has_it_the_least_busy_first() -> None:
    made, backends = await on_two_servers()
    route = made.route(ask("big"))
    assert places(route) == [("big", "one"), ("big", "two")]
    assert [one.backend for one in route.candidates] == backends
    permit = await route.candidates[0].gate.enter()
    assert places(made.route(ask("big"))) == [("big", "two"), ("big", "one")]
    assert places(made.route(ask("auto"))) == [("big", "two"), ("big", "one"), ("small", "one")]
    assert places(made.route(ask("two/big"))) == [("two/big", "two")]
    permit.leave()
    assert places(made.route(ask("big"))) == [("big", "one"), ("big", "two")]


async def test_a_preference_for_one_server_holds() -> None:
    made, _ = await on_two_servers()
    preferring = Router(registry=made._registry, workspaces=Workspaces(), default_model="two/big")
    assert places(preferring.route(ask("auto"))) == [("two/big", "two"), ("big", "one"), ("small", "one")]


async def rest(candidate: Candidate) -> None:
    permit = await candidate.gate.enter()
    permit.failed(BackendUnavailable("busy", retry_after=60))
    permit.leave()


async def test_what_rests_comes_last_and_it_is_said() -> None:
    made, _ = await on_two_servers()
    await rest(made.route(ask("big")).candidates[0])
    route = made.route(ask("auto"))
    assert places(route) == [("big", "two"), ("small", "one"), ("big", "one")]
    assert route.candidates[-1].why.endswith("; resting for 60 s after 1 failure")
    assert "rest" not in route.reason  # nothing changes for the user
    await rest(route.candidates[0])
    route = made.route(ask("auto"))
    assert places(route) == [("small", "one"), ("big", "one"), ("big", "two")]
    assert "; big is resting for 60 s after 1 failure, so small answers" in route.reason
    await rest(route.candidates[0])
    assert places(made.route(ask("auto")))[0] == ("big", "one")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("@model:small Hello", ("small", "Hello")),
        ("  @model:qwen3:8b\nHello", ("qwen3:8b", "Hello")),
        ("@model:small", ("small", "")),
        ([{"type": "text", "text": "@model:small Hi"}], ("small", [{"type": "text", "text": "Hi"}])),
        (
            [{"type": "image_url"}, {"type": "text", "text": "A note."}, {"type": "text", "text": "@model:small Hi"}],
            ("small", [{"type": "image_url"}, {"type": "text", "text": "A note."}, {"type": "text", "text": "Hi"}]),
        ),
        ("Write to @model:small", None),
        ("@model: small", None),
    ],
)
def test_a_message_may_name_its_model(content: Any, expected: Any) -> None:
    earlier = {"role": "user", "content": "@model:other one"}
    found = override([earlier, {"role": "assistant", "content": "x"}, {"role": "user", "content": content}])
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0], found[1][-1]["content"]) == expected
        assert found[1][0] is earlier


def test_an_ask_reads_what_the_user_said() -> None:
    said = [{"role": "user", "content": str(number)} for number in range(8)]
    made = Ask(model="auto", messages=[{"role": "system", "content": "s"}, *said])
    assert (made.text, list(made.history)) == ("7", ["3", "4", "5", "6"])
    assert Ask(model="auto").text == ""


def test_a_workspace_puts_its_own_before_the_clients() -> None:
    made = Workspace(
        name="w", instructions="Be brief.", parameters={"temperature": 0.2, "top_p": 1}, max_output_tokens=50
    )
    user = {"role": "user", "content": "hi"}
    assert made.messages([user])[0] == {"role": "system", "content": "Be brief."}
    merged = made.messages([{"role": "system", "content": "In French."}, user])
    assert [message["content"] for message in merged] == ["Be brief.\n\nIn French.", "hi"]
    parts = [{"type": "text", "text": "In French."}, {"type": "text", "text": "Always."}]
    (told, _) = made.messages([{"role": "developer", "content": parts}, user])  # as agents send it
    assert told == {"role": "developer", "content": "Be brief.\n\nIn French.\n\nAlways."}
    assert made.messages([{"role": "system", "content": ""}, user])[0]["content"] == "Be brief."
    assert made.with_defaults({"temperature": 1, "top_p": None}) == {"temperature": 1, "top_p": 1, "max_tokens": 50}
    assert made.with_defaults({"max_completion_tokens": 9})["max_completion_tokens"] == 9
    assert made.with_defaults({"max_tokens": 900})["max_tokens"] == 50
    assert Workspace(name="w").messages([user]) == [user]


def test_the_packaged_workspaces_cover_the_tasks() -> None:
    names = [one.name for one in packaged_workspaces()]
    assert names[0] == "auto"
    assert set(TASK_WORKSPACES.values()) <= set(names)


# ------------------------------------------------------------------ what to install

NAMED = (
    *("auto", "auto-coding", "auto-reasoning", "auto-creative", "auto-research", "auto-documents", "auto-vision"),
    *("auto-security", "auto-image", "auto-audio", "auto-music", "auto-video", "auto-fast"),
)


@pytest.mark.parametrize("name", NAMED)
async def test_each_workspace_leads_to_what_is_installed_or_says_what_to_install(name: str) -> None:
    assert name in [one.name for one in packaged_workspaces()]
    route = (await router(SMALL)).route(ask(name))
    assert (route.model.id, route.workspace is not None and route.workspace.name) == ("small", name)
    assert route.reason
    with pytest.raises(NoModel, match="Install Ollama and pull a model"):
        (await router()).route(ask(name))


@pytest.mark.parametrize(
    ("needs", "advice"),
    [
        ({"chat", "vision"}, "ollama pull qwen2.5vl:7b"),
        ({"chat", "audio"}, "Voxtral"),
        ({"chat", "tools"}, "ollama pull qwen3:8b"),
        ({"chat", "vision", "audio"}, "Voxtral on vLLM; ollama pull qwen2.5vl:7b"),
    ],
)
async def test_what_is_missing_says_what_to_install(needs: set[str], advice: str) -> None:
    with pytest.raises(NoModel) as caught:
        (await router(BIG)).route(ask("auto", needs=frozenset(needs)))
    assert advice in caught.value.message


async def test_what_no_model_has_together_says_so_too() -> None:
    calls = ModelInfo(id="calls", backend="", capabilities=frozenset({"chat", "tools"}))
    with pytest.raises(NoModel, match=r"tools, vision.*qwen2\.5vl"):
        (await router(SEES, calls)).route(ask("auto", needs=frozenset({"chat", "tools", "vision"})))


@pytest.mark.parametrize(
    ("workspace", "words"),
    [
        ("auto-image", "image generation takes an engine that is not here, so a chat model answers (install a program"),
        ("auto-video", "ComfyUI with a video model"),
        ("auto-music", "a program for speech and sound"),
    ],
)
async def test_without_an_engine_a_chat_model_with_tools_answers_and_says_so(workspace: str, words: str) -> None:
    calls = ModelInfo(id="calls", backend="", parameters=60_000_000_000, capabilities=frozenset({"chat", "tools"}))
    route = (await router(BIG, calls)).route(ask(workspace))
    assert route.model.id == "calls"
    assert words in route.reason


async def test_a_model_that_hears_needs_no_engine_for_sound() -> None:
    hears = ModelInfo(id="hears", backend="", parameters=70_000_000_000, capabilities=frozenset({"chat", "audio"}))
    route = (await router(SMALL, hears)).route(ask("auto-audio"))
    assert route.model.id == "hears"
    assert "engine" not in route.reason


async def test_an_unknown_lack_is_told_without_advice() -> None:
    with pytest.raises(NoModel) as caught:
        (await router(BIG)).route(ask("auto", needs=frozenset({"chat", "telepathy"})))
    assert "Install" not in caught.value.message
