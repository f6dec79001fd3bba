"""Which tools a turn gets, whatever toolsets say of theirs."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from portal.core.items import JsonObject
from portal.core.toolbox import FIND, Offer, Toolbox
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.core.workspaces import Workspace

WORKSPACE = Workspace(name="auto")


class Shelf:
    """A toolset that lists what it is given."""

    name = "shelf"

    def __init__(self, *specs: ToolSpec, broken: bool = False) -> None:
        self.specs, self.broken = specs, broken

    def tools(self) -> Sequence[ToolSpec]:
        if self.broken:
            raise RuntimeError("no list today")
        return self.specs

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        raise AssertionError(name)

    async def aclose(self) -> None: ...


def spec(name: str, about: str = "", **fields: Any) -> ToolSpec:
    return ToolSpec(name=name, description=about or name, risk="read", toolset="shelf", **fields)


async def offered(toolbox: Toolbox, text: str = "x") -> Offer:
    offer = await toolbox.offer(WORKSPACE, text)
    assert offer is not None
    return offer


async def test_what_cannot_be_used_is_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    odd = [
        spec("no_properties", parameters={"properties": None}),
        spec("nowhere", parameters={"properties": {"x": {"$ref": "#/$defs/x"}}}),
        spec("größe"),
        spec("n" * 65),
    ]
    toolbox = Toolbox(toolsets=lambda: [Shelf(broken=True), Shelf(*odd), Shelf(spec("fine"))])

    with caplog.at_level(logging.WARNING):
        names = [(await offered(toolbox)).names() for _ in range(3)]

    assert names == [["fine"]] * 3
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the toolset shelf cannot say what it has",
        *(f"the tool {one.name!r} of shelf is left out" for one in odd),
    ]
    assert toolbox.serves(WORKSPACE)
    assert toolbox.spec("no_properties") is None


async def test_of_two_of_one_name_the_first_is_there_and_the_other_is_told(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Shelf(spec("read", "the first")), Shelf(spec("read", "the second"), spec("find_tools"))
    toolbox = Toolbox(toolsets=lambda: [first, second])

    with caplog.at_level(logging.WARNING):
        offers = [await offered(toolbox) for _ in range(3)]

    assert [offer.names() for offer in offers] == [["read"]] * 3
    assert offers[0].get("read") == (first, first.specs[0])
    assert [record.getMessage() for record in caplog.records] == [
        "the tool 'read' of shelf is left out: shelf has one of that name",
        "the tool 'find_tools' of shelf is left out: portal has one of that name",
    ]


async def test_schemas_that_come_and_go_are_not_kept_for_ever() -> None:
    shelves = [Shelf(spec("fine"), *(spec(f"t{at}", parameters={}) for at in range(3000))) for _ in range(3)]
    toolbox = Toolbox(toolsets=lambda: shelves)

    for shelf in shelves:
        shelves[:] = [shelf]
        assert len((await offered(toolbox)).left_out()) > 2900
    assert len(toolbox._faults) <= 5000


async def test_found_tools_take_the_place_of_those_found_before() -> None:
    many = [spec(f"tool_{at}", f"Does {chr(97 + at // 5) * 4}") for at in range(100)]
    offer = await offered(Toolbox(toolsets=lambda: [Shelf(*many)], offered=3), "aaaa")
    shown = offer.names()

    for at in range(1, 15):
        offer.find(chr(97 + at) * 4)
    parameters: Any = offer.parameters({})

    assert [one["function"]["name"] for one in parameters["tools"]] == offer.names()
    assert offer.names()[: len(shown)] == shown
    assert sorted(offer.names()[len(shown) :]) == sorted(f"tool_{at}" for at in range(70, 75))
    assert offer.find("nonsense") == "No other tool fits that."
    assert len(offer.names()) == 3 + 1 + 5
    assert FIND in shown
    assert offer.get("tool_20") is not None
