"""Which tools are chosen for a request: on real servers' tools, and rule by rule."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

import pytest
from tests.core.tool_choice import HERE, SETS, SHOWN, Asked, choices, installed, learned, recall

from portal.core.selection import Ranking
from portal.core.thesaurus import Thesaurus, packaged_thesaurus
from portal.core.tool_ports import Toolset
from portal.core.toolbox import Toolbox
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.core.workspaces import Workspace

WORDS = """
stop: the a please tell_me
read open lies lire
file document datei fichier

write save speichere
# a comment
pdf > file
png > picture document
look_online > web
shape: https?://\\S+ = web
shape: \\blet (.{1,40}?) know\\b = notify \\1
"""
LEAST = {
    "first, tuned with": (0.98, 0.98),
    "first, unseen": (0.93, 0.95),
    "later, tuned with": (0.95, 0.97),
    "later, unseen": (0.88, 0.93),
    "strangers'": (0.87, 0.92),
}
"""Recall that is not lost again, by words alone and with the embedder; what is measured is in docs/benchmarks.md."""


@pytest.fixture(scope="module")
def thesaurus() -> Thesaurus:
    return packaged_thesaurus()


def spec(
    name: str, description: str = "", *, toolset: str = "one", parameters: Mapping[str, object] | None = None
) -> ToolSpec:
    return ToolSpec(
        name=name,
        description=description,
        parameters={"type": "object", "properties": {**(parameters or {})}},
        risk="read",
        toolset=toolset,
    )


def names(specs: Sequence[ToolSpec]) -> list[str]:
    return [one.name for one in specs]


def ranked(*specs: ToolSpec) -> Ranking:
    return Ranking(specs, thesaurus=Thesaurus(WORDS))


# ------------------------------------------------------------------ on real tools


@pytest.mark.unmeasured
@pytest.mark.parametrize("asked", SETS, ids=lambda asked: asked.path.stem)
async def test_the_tool_that_a_request_needs_is_shown(asked: Asked, thesaurus: Thesaurus) -> None:
    specs = installed(asked.without)
    made = await choices(specs, asked.path, thesaurus=thesaurus)
    told = await choices(specs, asked.path, thesaurus=thesaurus, likeness=await learned(specs))

    assert (recall(made) >= LEAST[asked.name][0], recall(told) >= LEAST[asked.name][1]) == (True, True)
    assert all(len(one.shown) <= SHOWN for one in [*made, *told])


@pytest.mark.parametrize("asked", SETS, ids=lambda asked: asked.path.stem)
def test_requests_are_of_installed_tools_and_do_not_copy_their_descriptions(asked: Asked) -> None:
    specs = {one.name: one for one in installed(asked.without)}
    copied = []
    for line in asked.path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        said = re.findall(r"\w+", one["request"].lower())
        runs = [" ".join(said[at : at + 4]) for at in range(len(said) - 3)]
        told = [" ".join(re.findall(r"\w+", specs[name].description.lower())) for name in one["tools"]]
        copied += [run for run in runs if any(run in text for text in told)]

    assert copied == []


def test_the_stored_tools_say_whose_they_are() -> None:
    servers = [json.loads(path.read_text(encoding="utf-8")) for path in HERE.glob("*.json")]

    assert len(servers) >= 6
    assert sum(len(server["tools"]) for server in servers) >= 100
    assert all(server["origin"] and server["licence"] for server in servers)


def test_odd_texts_are_no_matter(thesaurus: Thesaurus) -> None:
    ranking = Ranking(installed(), thesaurus=thesaurus)

    for text in (
        "",
        "-" * 9999,
        "a.b/" * 4000,
        "select " * 3000,
        '"' * 5000,
        "x@" * 3000,
        "#1 " * 3000,
        "ß é 語 " * 999,
    ):
        assert len(ranking.best(text, SHOWN)) <= SHOWN


# ------------------------------------------------------------------ rule by rule


def test_words_of_one_meaning_stand_for_each_other_in_any_language() -> None:
    ranking = ranked(spec("read_file"), spec("write_file"), spec("send_mail"))

    assert names(ranking.best("please open the document", 1)) == ["read_file"]
    assert names(ranking.best("Lies die Dateien", 2))[0] == "read_file"
    assert names(ranking.best("speichere", 3)) == ["write_file"]


def test_the_very_word_comes_before_one_of_the_same_meaning() -> None:
    assert names(ranked(spec("open_it"), spec("read_it")).best("read", 2)) == ["read_it", "open_it"]


def test_a_word_implies_others_but_not_the_other_way_round() -> None:
    ranking = ranked(spec("get_file"), spec("make_pdf"))

    assert names(ranking.best("pdf", 2)) == ["make_pdf", "get_file"]
    assert names(ranking.best("file", 2)) == ["get_file"]


def test_what_a_phrase_means_and_what_is_said_by_shape() -> None:
    ranking = ranked(spec("look_around"), spec("search_web"), spec("notify_people"))

    assert names(ranking.best("look online for it", 1)) == ["search_web"]
    assert names(ranking.best("https://example.com/x", 3)) == ["search_web"]
    assert names(ranking.best("let Anna and Tom know", 3)) == ["notify_people"]
    assert ranking.best("tell me please", 3) == []


def test_names_count_more_than_descriptions_and_parameters_count_too() -> None:
    ranking = ranked(
        spec("rotate", "Turn an image."),
        spec("view", "Show it. Can rotate."),
        spec("paint", "Colour it", parameters={"angle": {"description": "How far to rotate"}, "odd": True}),
    )

    assert names(ranking.best("rotate", 9))[0] == "rotate"
    assert {*names(ranking.best("rotate", 9))} == {"rotate", "view", "paint"}
    assert names(ranking.best("angle", 9)) == ["paint"]


def test_a_number_is_found_in_names_only() -> None:
    ranking = ranked(spec("herd_7", "Count sheep"), spec("herd_8", "Count up to 7 sheep"))

    assert names(ranking.best("sheep of 7", 1)) == ["herd_7"]
    assert names(ranking.best("7", 9)) == ["herd_7"]


def test_a_tool_whose_server_fits_comes_before_a_strangers() -> None:
    ranking = ranked(
        spec("strange__add", "Add a note", toolset="strange"),
        spec("mail__add", "Add a note", toolset="mail"),
        spec("mail__send_letter", "Send a letter", toolset="mail"),
    )

    assert names(ranking.best("send a letter and add a note", 3)) == ["mail__send_letter", "mail__add", "strange__add"]


def test_only_allowed_tools_are_chosen() -> None:
    ranking = ranked(spec("read_file"), spec("read_page"), spec("read_mail"))

    assert names(ranking.best("read", 9, {"read_page", "read_mail"})) == ["read_page", "read_mail"]


def test_a_long_text_is_read_at_both_ends() -> None:
    ranking = ranked(spec("read_file"), spec("search_web"), spec("send_mail"))

    text = "send this: " + "lorem " * 3000 + "web " + "ipsum " * 3000 + "then read it"

    assert {*names(ranking.best(text, 9))} == {"send_mail", "read_file"}


def test_no_tools_are_no_matter() -> None:
    assert ranked().best("read", 8) == []


# ------------------------------------------------------------------ the toolbox


class Reads(dict[str, object]):
    """Parameters that count how often they are read."""

    count = 0

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self.count += 1
        return super().get(key, default)


class Server(Toolset):
    name = "server"

    def __init__(self, specs: list[ToolSpec]) -> None:
        self.specs = specs

    def tools(self) -> Sequence[ToolSpec]:
        return self.specs

    async def call(self, name: str, arguments: Mapping[str, object], context: ToolContext) -> ToolResult:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError


async def shown(toolbox: Toolbox, text: str, patterns: tuple[str, ...] = ("*",)) -> list[str]:
    offer = await toolbox.offer(Workspace(name="w", tools=patterns), text)
    return offer.names() if offer else []


def test_tools_that_are_alike_are_shown_though_no_word_speaks_for_them() -> None:
    ranking = ranked(spec("read_file"), spec("send_mail"), spec("send_post"))

    assert names(ranking.best("drop her a line", 2, alike=[0.1, 0.5, 0.3])) == ["send_mail", "send_post"]
    assert names(ranking.best("drop her a line", 2, {"send_post"}, alike=[0.1, 0.5, 0.3])) == ["send_post"]
    assert names(ranking.best("read her a line", 2, alike=[0.1, 0.5, 0.2])) == ["send_mail", "read_file"]
    assert ranking.best("drop her a line", 2, alike=[0.1, -0.5, 0.2]) == []


class Opinion:
    """A Likeness that finds the last tool the best."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def of(self, request: str, specs: Sequence[ToolSpec]) -> Sequence[float]:
        self.asked.append(request)
        return [0.0, 0.0, 1.0] if len(specs) == 3 else ()


async def test_a_second_opinion_is_asked_for_only_where_there_is_a_choice() -> None:
    opinion = Opinion()
    specs = [spec("read_file"), spec("open_file"), spec("other")]
    server = Server(specs)
    toolbox = Toolbox(toolsets=lambda: [server], offered=2, likeness=opinion)

    assert await shown(toolbox, "read") == ["other", "read_file", "find_tools"]
    assert await shown(toolbox, "read", ("*_file",)) == ["read_file", "open_file", "find_tools"][:2]
    assert opinion.asked == ["read"]
    server.specs = [*specs, spec("paint")]
    assert (await shown(toolbox, "read"))[0] == "read_file"


async def test_the_index_is_kept_while_the_tools_are_the_same() -> None:
    reads = Reads(type="object")
    tools = [ToolSpec(name=f"count_{at}", description="", risk="read", toolset="server") for at in range(20)]
    server = Server([*tools, ToolSpec(name="open", description="", parameters=reads, risk="read", toolset="server")])
    toolbox = Toolbox(toolsets=lambda: [server], offered=2)

    assert await shown(toolbox, "open it") == ["open", "find_tools"]
    after = reads.count
    assert (await shown(toolbox, "count 3"))[0] == "count_3"
    assert (await shown(toolbox, "count 3", ("count_1*",)))[0].startswith("count_1")
    assert (after, reads.count) == (1, 1)

    server.specs = [*server.specs, ToolSpec(name="paint", description="", risk="read", toolset="server")]
    assert await shown(toolbox, "paint it") == ["paint", "find_tools"]
    assert reads.count == 2


def test_the_packaged_words_stay_small(thesaurus: Thesaurus) -> None:
    assert len((files("portal.core") / "tool_words.txt").read_bytes()) <= 40_000
    assert len(thesaurus.groups) > 100
