"""Portal's own workspaces and personas, whose is whose, and what a workspace adds to a call."""

import re
from dataclasses import replace

import pytest

from portal.core.personas import Expectation
from portal.core.workspaces import Workspace
from portal.errors import SettingsError
from portal.routing.judgement import TASKS
from portal.routing.personas import packaged_personas
from portal.routing.workspaces import Workspaces, packaged_workspaces, workspace
from portal.settings import load_settings
from portal.settings.workspaces import WorkspaceSettings

ALICE, BOB = "user_alice", "user_bob"


def made(name: str, owner: str, **fields: object) -> Workspace:
    return workspace(name, fields, source="page", owner=owner)


def test_portals_own_are_short_and_valid() -> None:
    for one in packaged_workspaces():
        assert len(one.system.split()) <= 120, one.name
        assert one.title
        assert one.description
        assert one.task in ("", *TASKS)
        WorkspaceSettings(parameters=dict(one.parameters), task=one.task, prefer=one.prefer)
    assert packaged_workspaces()[0].system == ""


def test_every_persona_has_a_prompt_and_a_test() -> None:
    personas = packaged_personas()
    assert len(personas) >= 15
    for one in personas.values():
        assert 30 <= len(one.prompt.split()) <= 120, one.name
        assert one.task in TASKS
        assert one.test
        assert one.expect != Expectation()
        assert re.compile(one.expect.pattern)
        WorkspaceSettings(persona=one.name, parameters=dict(one.parameters))


def test_what_an_expectation_says() -> None:
    strict = Expectation(contains=("Zug",), any_of=("sieben", "7"), lacks=("train",), max_words=4, pattern=r"\.$")
    assert strict.failures("Der ZUG um 7.") == []
    assert strict.failures(" ") == ["the answer is empty"]
    assert strict.failures("The train leaves at once") == [
        "'Zug' is missing",
        "'train' should not be there",
        "none of 'sieben', '7' is there",
        "5 words instead of at most 4",
        "it does not match '\\\\.$'",
    ]


def test_an_unknown_persona_is_named_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"workspaces\.mine\.persona: .*'tutr'; there are tutor"):
        workspace("mine", {"persona": "tutr"})


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("Mine", {}, "'Mine' is no name"),
        ("mine", {"strategy": "fast"}, r"workspaces\.mine\.strategy"),
        ("mine", {"task": "sports"}, r"workspaces\.mine\.task"),
        ("mine", {"parameters": {"temperature": 3}}, "temperature: Input should be less"),
        ("mine", {"parameters": {"messages": []}}, "messages: Extra inputs"),
        ("mine", {"colour": "red"}, r"workspaces\.mine\.colour"),
    ],
)
def test_wrong_settings_are_refused_by_name_and_reason(name: str, fields: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_settings({"workspaces": {name: fields}})


def test_a_persona_comes_before_the_instructions_and_its_temperature_last() -> None:
    one = workspace("mine", {"persona": "poet", "instructions": "About trees."})
    (system, said) = one.messages([{"role": "user", "content": "Go"}])
    assert system["content"] == packaged_personas()["poet"].prompt + "\n\nAbout trees."
    assert said == {"role": "user", "content": "Go"}
    assert one.with_defaults({}) == {"temperature": 1.0}
    assert replace(one, parameters={"temperature": 0.2}).with_defaults({}) == {"temperature": 0.2}
    assert one.with_defaults({"temperature": 0.5}) == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("sent", "reaches"),
    [
        ({}, {"max_tokens": 10}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 50}, {"max_tokens": 10}),
        ({"max_tokens": 5, "max_completion_tokens": 99}, {"max_tokens": 5, "max_completion_tokens": 10}),
        ({"num_predict": -1}, {"num_predict": 10}),
        (
            {"options": {"num_predict": 999, "seed": 1}},
            {"max_tokens": 10, "options": {"num_predict": 10, "seed": 1}},
        ),
    ],
)
def test_no_client_can_raise_the_limit(sent: dict[str, object], reaches: dict[str, object]) -> None:
    assert Workspace(name="short", max_output_tokens=10).with_defaults(sent) == reaches


def test_ones_own_come_first_and_nobody_elses_before_portals() -> None:
    known = Workspaces([Workspace(name="team", title="Team", source="settings")])
    known.put(made("auto", ALICE, title="Hers"))
    known.put(made("notes", ALICE, title="Shared"))
    known.put(made("secret", ALICE, users=[ALICE]))
    known.put(made("notes", BOB, title="His"))
    titles = {owner: {one.name: one.title for one in known.list(owner)} for owner in (ALICE, BOB, "user_eve", "")}
    assert titles[ALICE]["auto"] == "Hers"
    assert titles[BOB]["auto"] == titles["user_eve"]["auto"] == titles[""]["auto"] == "Auto"
    assert (titles[ALICE]["notes"], titles[BOB]["notes"], titles["user_eve"]["notes"]) == ("Shared", "His", "Shared")
    assert ["secret" in titles[owner] for owner in (ALICE, BOB, "")] == [True, False, True]
    assert known.get("secret", BOB) is None
    assert known.get("team", BOB) is known.everyones("team")
    for owner in (ALICE, BOB):
        known.drop(owner, "notes")
    known.drop(ALICE, "auto")
    assert known.get("notes", ALICE) is None
    assert known.get("auto", ALICE) is known.everyones("auto")
    known.drop(ALICE, "never")


def test_a_shared_override_of_a_task_counts_for_its_owner_only() -> None:
    known = Workspaces()
    known.put(made("auto-coding", ALICE, prefer=["hers"]))
    assert [known.for_task("coding", owner).prefer for owner in (ALICE, BOB)] == [("hers",), ("@coding",)]  # type: ignore[union-attr]
