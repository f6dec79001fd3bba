"""Exports that were cut, forged or made to hurt: refused or left out with a reason, and nothing else suffers."""

import io
import json
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.exchange import samples
from tests.exchange.conftest import Traveller

from portal.core.exchange import SOURCES, Arriving
from portal.errors import BadRequest
from portal.exchange.archive import Archive
from portal.exchange.markdown import as_markdown
from portal.exchange.recognise import reader, recognised
from portal.exchange.shape import Left, Piece, Said, Talk, answered, asked
from portal.exchange.tree import Kept, grow
from portal.redaction import redact, without_keys
from portal.testing.portal import TestPortal
from portal.testing.records import conversation, response


def pieces(path: Path, data: bytes, source: Any = None) -> list[Piece]:
    """What is in an export."""
    path.write_bytes(data)
    with Archive(path, path.name) as archive:
        found = source or recognised(archive)
        return list(reader(archive, found, owner="user_alice").pieces())


def reasons(told: Any) -> dict[str, int]:
    return {one["reason"]: one["count"] for one in told["report"]["reasons"] if one["kind"] != "files"}


REFUSED = {
    "empty": b"",
    "space": b"  \n ",
    "text": b"Dear diary, today I chatted.",
    "other JSON": b'[{"a": 1}, 2, null]',
    "number": b"17",
    "cut zip": samples.chatgpt()[:-40],
    "zip of nothing": samples.packed({}),
    "zip of something else": samples.packed({"a.txt": "hi", "b.json": {"x": 1}}),
    "cut database": b"SQLite format 3\0" + b"\1" * 500,
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_export_is_refused_with_what_is_known(me: Traveller, case: str) -> None:
    told = await me.bring(REFUSED[case])
    assert told["status"] == "failed"
    assert told["problem"]
    assert not (await me("GET", "/portal/v1/conversations"))["data"]
    assert (await me.bring(samples.librechat()))["status"] == "done"


async def test_what_it_is_said_to_be_and_is_not(me: Traveller) -> None:
    told = await me.bring(samples.openwebui(), **{"from": "claude"})
    assert (told["status"], told["source"]) == ("done", "claude")
    assert reasons(told) == {"it is no conversation of Claude": 3}
    assert (await me.upload(b"[]", status=400, **{"from": "myspace"}))["error"]["param"] == "from"


async def test_json_that_is_cut_gives_what_came_before(me: Traveller) -> None:
    whole = json.dumps([samples.chatgpt_conversation(f"c-{number}", title=f"T{number}") for number in range(5)])
    told = await me.bring(whole.encode()[: len(whole) * 7 // 10])
    assert told["report"]["stored"]["conversations"] == 3
    assert reasons(told)["the file ends in the middle of it"] == 1
    assert told["report"]["whole"]
    again = await me.bring(whole.encode())
    assert (again["report"]["stored"]["conversations"], again["report"]["known"]["conversations"]) == (2, 3)


async def test_one_broken_conversation_spoils_no_other(me: Traveller) -> None:
    good = json.dumps(samples.chatgpt_conversation("c-1"))
    data = f'[{good}, {{"title": broken}}, null, 7, [], {{"mapping": []}}, {good.replace("c-1", "c-2")}]'
    told = await me.bring(data.encode())
    assert told["report"]["stored"]["conversations"] == 2
    assert told["report"]["whole"]


async def test_the_same_conversation_twice_in_one_export(me: Traveller) -> None:
    told = await me.bring(samples.chatgpt([samples.chatgpt_conversation(), samples.chatgpt_conversation()]))
    assert told["report"]["stored"]["conversations"] == 1
    assert reasons(told)["it is in the export twice"] == 1 + samples.MESSAGES_OF_CHATGPT or told["report"]["whole"]
    assert told["report"]["whole"]


def bomb(size: int) -> bytes:
    """A zip that unpacks to this many zeros."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("conversations.json", "w") as file:
        for _ in range(size // 2**20):
            file.write(b"\0" * 2**20)
    return made.getvalue()


async def test_a_bomb_takes_neither_memory_nor_disk(me: Traveller, tmp_path: Path) -> None:
    packed = bomb(300 * 2**20)
    tracemalloc.start()
    told = await me.bring(packed)
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()
    assert told["status"] == "failed"
    lying = bytearray(packed)
    at = lying.rfind(b"PK\x01\x02")
    struct.pack_into("<L", lying, at + 24, 100)  # says that it is small
    assert (await me.bring(bytes(lying)))["status"] == "failed"
    struct.pack_into("<L", lying, at + 24, 2**31)  # and much larger than it can be
    with pytest.raises(BadRequest, match="would unpack"):
        pieces(tmp_path / "x.zip", bytes(lying), "chatgpt")


def test_a_zip_that_lists_too_much_is_not_even_opened(tmp_path: Path) -> None:
    data = bytearray(samples.chatgpt())
    struct.pack_into("<L", data, data.rfind(b"PK\x05\x06") + 12, 2**31)
    with pytest.raises(BadRequest, match="more files"):
        pieces(tmp_path / "x.zip", bytes(data))


async def test_names_in_a_zip_lead_nowhere(me: Traveller, portal: TestPortal) -> None:
    talk = samples.chatgpt_conversation()
    data = samples.packed(
        {
            "../../../conversations.json": [talk],
            "/etc/file_0000abcd-x.png": samples.PNG,
            "..\\..\\file-Drawn1.png": samples.PNG,
        }
    )
    told = await me.bring(data)
    assert told["report"]["stored"]["conversations"] == 1
    names = [one["filename"] for one in (await me("GET", "/v1/files"))["data"]]
    assert all("/" not in name and "\\" not in name for name in names)
    outside = portal.portal.settings.data_dir.parent.rglob("*.png")
    assert not list(outside)


async def test_an_encrypted_zip_says_so(me: Traveller) -> None:
    data = bytearray(samples.chatgpt())
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 8] |= 1
        at += 4
    assert "without a password" in (await me.bring(bytes(data)))["problem"]


# ------------------------------------------------------------------ trees


def talk(*messages: Said, **fields: Any) -> Talk:
    return Talk(id="t", messages=messages, **fields)


def q(key: str, parent: str | None, at: int | None = None) -> Said:
    return Said(id=key, parent=parent, role="user", items=[asked(key)], created=at)


def a(key: str, parent: str | None, at: int | None = None) -> Said:
    return Said(id=key, parent=parent, role="assistant", items=[answered(key)], created=at)


def grown(one: Talk) -> Any:
    return grow(one, owner="user_alice", source="chatgpt", conversation_id="conv_1", files={})


def shape(one: Talk) -> list[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    """Each response as the messages it is made of, and those of the one before it."""
    turns = grown(one).turns
    of = {turn.response.id: turn.messages for turn in turns}
    return [(turn.messages, of.get(turn.response.previous_id)) for turn in turns]


def test_a_loop_is_left_out_and_the_rest_is_kept() -> None:
    made = grown(talk(q("1", None), a("2", "1"), q("x", "y"), a("y", "x"), q("z", "y"), q("self", "self")))
    assert [turn.messages for turn in made.turns] == [("1", "2")]
    assert made.left == {"it follows itself": 4}


def test_ids_that_are_there_twice_and_parents_that_are_not_there() -> None:
    made = grown(talk(q("1", "gone"), a("2", "1"), a("2", "1"), q("3", "2")))
    assert [turn.messages for turn in made.turns] == [("1", "2"), ("3",)]
    assert made.left == {"its id is there twice": 1}


def test_two_answers_and_two_wordings_are_beside_each_other() -> None:
    tree = talk(q("1", None), a("2", "1"), a("3", "1"), q("4", "2"), q("5", "2"), a("6", "5"), current="6")
    assert shape(tree) == [
        (("1", "2"), None),
        (("4",), ("1", "2")),
        (("5", "6"), ("1", "2")),
        (("1", "3"), None),
    ]


def test_questions_in_a_row_are_one_and_answers_that_fork_are_not_copied() -> None:
    assert shape(talk(q("1", None), q("2", "1"), a("3", "2"))) == [(("1", "2", "3"), None)]
    forked = talk(q("1", None), a("2", "1"), a("3", "2"), a("4", "2"))
    assert shape(forked) == [(("1", "2"), None), (("3",), ("1", "2")), (("4",), ("1", "2"))]


def test_the_branch_on_show_is_the_newest_where_nothing_says_which() -> None:
    made = grown(talk(q("1", None, 1), a("2", "1", 9), a("3", "1", 5)))
    assert made.head == made.turns[1].response.id or made.head == made.turns[0].response.id
    ends = {turn.response.id: turn.messages for turn in made.turns}
    assert ends[made.head] in (("1", "2"), ("1", "3"))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_very_many_messages(turn: int) -> None:
    """In a row, however they alternate."""
    messages = [
        (q if number % turn == 0 and turn > 1 else a)(str(number), str(number - 1) if number else None, number)
        for number in range(20_000)
    ]
    made = grown(talk(*messages))
    assert made.messages == 20_000
    assert sum(len(one.messages) for one in made.turns) == 20_000


def test_a_tree_cannot_become_more_than_it_is() -> None:
    """A question with many answers, many questions in a row, an answer that forks at every step, a loop with a tail."""
    wide = talk(q("0", None), *(a(str(number), "0") for number in range(1, 5001)))
    assert sum(len(one.messages) for one in grown(wide).turns) == 5001
    deep = talk(*(q(str(number), str(number - 1) if number else None) for number in range(20_000)))
    made = grown(deep)
    assert made.messages == 20_000
    assert sum(len(one.messages) for one in made.turns) <= 22_000
    comb = [a("0", None)]
    for number in range(1, 20_000):
        comb += [a(str(number), str(number - 1)), q(f"q{number}", str(number - 1))]
    assert sum(len(one.messages) for one in grown(talk(*comb)).turns) == len(comb)
    tail = [q("x", "y"), q("y", "x")] + [q(str(n), str(n - 1) if n else "x") for n in range(50_000)]
    assert grown(talk(*tail)).left == {"it follows itself": 50_002}


def test_a_file_in_an_answer_whose_name_is_markdown() -> None:
    from portal.exchange.shape import Attached

    one = Said(id="1", parent=None, role="assistant", items=[], files=[Attached(key="k", filename="x")])
    kept = {"k": Kept("file_1", "a](javascript:x)[b", "image/png")}
    made = grow(talk(one), owner="u", source="claude", conversation_id="c", files=kept)
    text = made.turns[0].outputs[0]["content"][0]["text"]
    assert text == "![a  javascript:x  b](/v1/files/file_1/content?inline=1)"


# ------------------------------------------------------------------ anything at all


ODD = [None, True, 0, -1, 1e308, float("nan"), "", "x", "\ud800\0", [], {}, [[]], [None], {"a": None}, 10**30, "1" * 50]


def spoiled(value: Any, chance: random.Random) -> Any:
    """The same with something in it that does not belong there."""
    if chance.random() < 0.05:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {name: spoiled(each, chance) for name, each in value.items() if chance.random() > 0.02}
    if isinstance(value, list):
        return [spoiled(each, chance) for each in value]
    return value


CONVERSATIONS: dict[str, list[Any]] = {
    "chatgpt": [samples.chatgpt_conversation()],
    "openwebui": samples.openwebui(),
    "librechat": [samples.librechat()],
}


def claudes() -> list[Any]:
    with zipfile.ZipFile(io.BytesIO(samples.claude())) as archive:
        names = ("conversations.json", "projects.json", "memories.json")
        return [one for name in names for one in json.loads(archive.read(name))]


@pytest.mark.parametrize("source", ["chatgpt", "claude", "openwebui", "librechat"])
def test_whatever_is_in_the_fields(tmp_path: Path, source: Any) -> None:
    """A thousand spoiled exports: each is read to the end, and every message of them is kept or counted."""
    chance = random.Random(source)
    whole = claudes() if source == "claude" else CONVERSATIONS[source]
    for number in range(250):
        data = json.dumps([spoiled(one, chance) for one in whole]).encode("utf-8", "replace")
        for piece in pieces(tmp_path / f"{number}.json", data, source):
            if isinstance(piece, Talk):
                files = {file.key: Kept("", file.filename, "", "x") for one in piece.messages for file in one.files}
                made = grow(piece, owner="u", source=source, conversation_id="c", files=files)
                structure = sum(1 for one in piece.messages if one.skipped == "-")
                assert made.messages + sum(made.left.values()) == len(piece.messages) - structure
            else:
                assert isinstance(piece, Left) or piece


@pytest.mark.parametrize("source", SOURCES)
def test_bytes_that_mean_nothing(tmp_path: Path, source: Any) -> None:
    chance = random.Random(source)
    whole = bytearray(samples.chatgpt() if source == "portal" else json.dumps(samples.openwebui()).encode())
    for number in range(150):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            pieces(tmp_path / f"{number}", bytes(data), source)
        except (BadRequest, ValueError):
            continue


@pytest.mark.timeout(20)
def test_a_long_text_is_read_in_time_that_grows_with_it(tmp_path: Path) -> None:
    """Neither of these ends within the hour where each sign is looked at anew from each sign before it."""
    tag = f"<details {'a' * 2_000_000}>x</details>"
    chat = {"id": "c", "chat": {"messages": [{"id": "m", "role": "assistant", "content": tag}]}}
    (talk,) = pieces(tmp_path / "chats.json", orjson.dumps([chat]))
    assert isinstance(talk, Talk)
    assert len(without_keys("eyJabcd" * 200_000)) == 1_400_000
    assert len(redact("a." * 100_000)) == 200_000
    call = {"type": "mcp_call", "name": "x", "arguments": "`" * 2_000_000}
    turn = Arriving(response=response(), inputs=[], outputs=[call])
    assert sum(map(len, as_markdown(conversation(head=turn.response.id), [turn], {}))) > 6_000_000
