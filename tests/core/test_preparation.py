import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import Item
from portal.core.model import ModelInfo, TextDelta, ToolCallDelta
from portal.core.records import FileRecord, FolderRecord
from portal.errors import BadRequest, NoModel, NotFound
from portal.storage.database import Statement
from portal.storage.rows import response_args
from portal.storage.turn_log import INSERT_RESPONSE
from portal.testing.records import OWNER, STRANGER, conversation, response, said

from .conftest import Rig, events_of, one_ending, open_rig, until

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def upload(rig: Rig, name: str, content: bytes, kind: str = "text/plain", owner: str = OWNER) -> str:
    record = FileRecord(
        id=new_id("file"),
        owner=owner,
        filename=name,
        purpose="user_data",
        size=0,
        sha256="",
        content_type=kind,
        created_at=micros(),
    )
    return (await rig.storage.files.create(record, _chunks(content))).id


def asking(*parts: Item) -> list[Item]:
    return [{**said(""), "content": [{"type": "input_text", "text": "Look:"}, *parts]}]


async def sent(rig: Rig, **fields: Any) -> list[dict[str, Any]]:
    """The messages that reached the model."""
    rig.backend.answer("yes")
    assert one_ending(await rig.ask(**fields))["status"] == "completed"
    return list(rig.backend.requests[-1].messages)


async def refused(rig: Rig, error: type[Exception], **fields: Any) -> Exception:
    """What a start raises; nothing may be stored by it, and no model asked."""
    with pytest.raises(error) as raised:
        await rig.start(**fields)
    assert "begin" not in rig.log.begun
    assert rig.backend.requests == []
    return raised.value


async def test_a_folders_instructions_and_files_come_before_the_requests(rig: Rig) -> None:
    notes = await upload(rig, "notes.md", b"The code is 7.")
    folder = FolderRecord(
        id=new_id("fold"), owner=OWNER, name="Work", created_at=1, instructions="Be brief.", file_ids=(notes,)
    )
    await rig.storage.folders.save(folder)
    record = conversation(title="kept", folder_id=folder.id)
    await rig.storage.conversations.create(record)
    messages = await sent(rig, conversation_id=record.id, request={"instructions": "Answer in Latin."})
    assert messages[0]["role"] == "system"
    assert messages[0]["content"] == "Be brief.\n\nFile notes.md:\n```\nThe code is 7.\n```\n\nAnswer in Latin."
    assert messages[1:] == [{"role": "user", "content": "hello"}]
    await rig.storage.files.delete(OWNER, notes)
    messages = await sent(rig, conversation_id=record.id)
    assert f"(The file {notes} was deleted.)" in messages[0]["content"]


async def test_instructions_count_for_one_turn_alone(rig: Rig) -> None:
    rig.backend.answer("yes")
    first = one_ending(await rig.ask(request={"instructions": "Answer in Latin."}))
    messages = await sent(rig, text="again", previous_response_id=first["id"])
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]


async def test_pictures_become_data_urls(rig: Rig) -> None:
    file_id = await upload(rig, "cat.png", PNG, "image/png")
    messages = await sent(rig, input=asking({"type": "input_image", "file_id": file_id, "detail": "low"}))
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert messages[0]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    messages = await sent(rig, input=asking({"type": "input_image", "image_url": "data:image/png;base64,AA=="}))
    assert messages[0]["content"][1]["image_url"] == {"url": "data:image/png;base64,AA=="}


@pytest.mark.parametrize("prefix", ["", "data:text/plain;base64,"])
async def test_text_files_come_as_text(rig: Rig, prefix: str) -> None:
    data = prefix + base64.b64encode("naïve ``` text".encode("utf-8-sig")).decode()
    messages = await sent(rig, input=asking({"type": "input_file", "filename": "a.txt", "file_data": data}))
    assert messages[0]["content"] == "Look:\n\nFile a.txt:\n````\nnaïve ``` text\n````"
    file_id = await upload(rig, "b.py", b"print(1)")
    output = {"type": "function_call_output", "id": "fco", "call_id": "c", "output": [_file(file_id)]}
    messages = await sent(rig, input=[*asking(), output])
    assert messages[1] == {"role": "tool", "tool_call_id": "c", "content": "File b.py:\n```\nprint(1)\n```"}


def _file(file_id: str) -> Item:
    return {"type": "input_file", "file_id": file_id}


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"type": "input_file", "file_data": base64.b64encode(PNG).decode()}, "unsupported_file"),
        ({"type": "input_file", "file_data": base64.b64encode(b"a\0b").decode()}, "unsupported_file"),
        ({"type": "input_file", "file_data": "no base64!"}, None),
        ({"type": "input_file", "file_data": base64.b64encode(b"x" * (2**21 + 1)).decode()}, "file_too_large"),
        ({"type": "input_file", "file_url": "http://127.0.0.1/secret"}, None),
        ({"type": "input_image"}, None),
        ({"type": "input_video"}, "unsupported_content"),
    ],
)
async def test_what_no_model_reads_is_refused_before_anything_is_stored(rig: Rig, part: Item, code: str | None) -> None:
    """What is stored may be long, or a document: see tests/interfaces/openai/test_long_files.py."""
    error = await refused(rig, BadRequest, input=asking(part), store=False)
    assert isinstance(error, BadRequest)
    assert (error.code, error.param) == (code, "input")


async def test_stored_files_are_checked_too(rig: Rig) -> None:
    binary, large = await upload(rig, "a.bin", b"\xff\xfe\0"), await upload(rig, "a.txt", b"x" * (2**21 + 1))
    for file_id, code in ((binary, "unsupported_file"), (large, "file_too_large")):
        error = await refused(rig, BadRequest, input=asking(_file(file_id)), store=False)
        assert isinstance(error, BadRequest)
        assert error.code == code
    error = await refused(rig, BadRequest, input=asking({"type": "input_image", "file_id": binary}))
    assert "not a picture" in str(error)


async def test_files_of_others_are_not_there(rig: Rig) -> None:
    theirs = await upload(rig, "a.txt", b"secret", owner=STRANGER)
    picture = await upload(rig, "a.png", PNG, "image/png", owner=STRANGER)
    await refused(rig, NotFound, input=asking(_file(theirs)))
    await refused(rig, NotFound, input=asking({"type": "input_image", "file_id": picture}))


async def test_conversations_and_folders_of_others_are_not_there(rig: Rig) -> None:
    theirs = conversation(owner=STRANGER)
    await rig.storage.conversations.create(theirs)
    await refused(rig, NotFound, conversation_id=theirs.id)


async def test_a_file_deleted_since_leaves_a_note_in_the_history(rig: Rig) -> None:
    file_id = await upload(rig, "a.txt", b"The code is 7.")
    rig.backend.answer("7")
    first = one_ending(await rig.ask(input=asking({**_file(file_id), "filename": "a.txt"})))
    messages = await sent(rig, text="Why?", previous_response_id=first["id"])
    assert "The code is 7." in messages[0]["content"]
    await rig.storage.files.delete(OWNER, file_id)
    messages = await sent(rig, text="Why?", previous_response_id=first["id"])
    assert messages[0]["content"] == "Look:\n\n(The file a.txt was deleted.)"


async def test_a_call_that_was_stopped_on_the_way_is_not_sent_again(rig: Rig) -> None:
    rig.backend.script(TextDelta("so"), ToolCallDelta(0, "c", "f", '{"a'), asyncio.Event())
    run = await rig.start()
    await until(run, "response.function_call_arguments.delta")
    run.cancel()
    first = one_ending(await events_of(run))
    messages = await sent(rig, text="go on", previous_response_id=first["id"])
    assert "tool_calls" not in messages[1]


async def test_tool_calls_and_results_make_one_exchange(rig: Rig) -> None:
    rig.backend.script(TextDelta("so"), ToolCallDelta(0, "c1", "f", "{}"), ToolCallDelta(1, "c2", "g", "{}"))
    first = one_ending(await rig.ask())
    results = [{"type": "function_call_output", "id": f"o{n}", "call_id": f"c{n}", "output": str(n)} for n in (1, 2)]
    messages = await sent(rig, input=results, previous_response_id=first["id"])
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["c1", "c2"]


async def test_an_unstored_chain_brings_its_history_along(rig: Rig) -> None:
    messages = await sent(rig, history=[said("before")], store=False)
    assert [message["content"] for message in messages] == ["before", "hello"]


async def test_parameters_reach_the_backend(rig: Rig) -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": None}
    request = {
        "temperature": 0.5,
        "top_p": None,
        "max_output_tokens": 9,
        "tools": [tool, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "f"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
        "top_logprobs": 3,
    }
    await sent(rig, request=request, parameters={"seed": 7})
    parameters = rig.backend.requests[-1].parameters
    assert parameters == {
        "temperature": 0.5,
        "max_tokens": 9,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "logprobs": True,
        "top_logprobs": 3,
        "seed": 7,
    }


PICTURE: Item = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
TOOL: Item = {"type": "function", "name": "f", "parameters": {"type": "object"}}
PLAIN, SEEING, HANDY = (
    ModelInfo(id=name, backend="", capabilities=frozenset({"chat", *more}), context_window=4096, parameters=size)
    for name, more, size in (("plain", (), 9_000_000_000), ("seeing", ("vision",), 10**9), ("handy", ("tools",), 10**9))
)


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, "plain"),
        ({"input": asking(PICTURE)}, "seeing"),
        ({"request": {"tools": [TOOL]}}, "handy"),
        ({"parameters": {"tools": [{"type": "function", "function": TOOL}]}}, "handy"),
        ({"history": asking(PICTURE), "store": False}, "seeing"),
    ],
)
async def test_auto_chooses_a_model_that_can_do_what_the_turn_needs(
    tmp_path: Path, fields: dict[str, Any], chosen: str
) -> None:
    async with open_rig(tmp_path, backend=ScriptedBackend(models=(PLAIN, SEEING, HANDY))) as rig:
        await sent(rig, model="auto", **fields)
        assert rig.backend.requests[-1].model == chosen


async def test_auto_keeps_seeing_a_picture_further_up_and_says_so_when_nobody_can(tmp_path: Path) -> None:
    async with open_rig(tmp_path, backend=ScriptedBackend(models=(PLAIN, SEEING))) as rig:
        rig.backend.answer("a cat")
        first = one_ending(await rig.ask(model="auto", input=asking(PICTURE)))
        await sent(rig, text="Why?", model="auto", previous_response_id=first["id"])
        assert rig.backend.requests[-1].model == "seeing"
        rig.backend.answer("a cat, still")
        await rig.agent.compact(OWNER, "auto", asking(PICTURE))
        assert rig.backend.requests[-1].model == "seeing"
    async with open_rig(tmp_path / "other", backend=ScriptedBackend(models=(PLAIN,))) as rig:
        await refused(rig, NoModel, model="auto", input=asking(PICTURE))


async def test_a_path_too_long_to_be_read_whole_is_cut_and_the_decision_says_so(rig: Rig) -> None:
    path = [response(id=f"resp_{number:04}", status="completed") for number in range(1001)]
    links = [replace(after, previous_id=before.id) for before, after in pairwise(path)]
    await rig.storage.database.batch(
        [Statement(INSERT_RESPONSE, {**response_args(one), "instance": ""}) for one in (path[0], *links)]
    )
    rig.backend.default = lambda request: [TextDelta("yes")]
    for previous, newest in (("resp_0999", None), ("resp_1000", 1000)):
        response_id = one_ending(await rig.ask(previous_response_id=previous))["id"]
        decision = (await rig.storage.responses.get(OWNER, response_id)).response.decision
        assert decision is not None
        assert decision.get("newest_turns_only") == newest
        assert "dropped_messages" not in decision


async def test_truncation_fits_the_models_window(rig: Rig) -> None:
    long = {"model": "narrow", "request": {"truncation": "auto"}}
    previous: str | None = None
    rig.backend.default = lambda request: [TextDelta("word " * 100)]
    for _ in range(4):
        previous = one_ending(await rig.ask("word " * 20, previous_response_id=previous, **long))["id"]
    assert previous is not None
    turn = await rig.storage.responses.get(OWNER, previous)
    messages = rig.backend.requests[-1].messages
    assert turn.response.decision is not None
    assert turn.response.decision["dropped_messages"] == 7 - len(messages) > 0
    assert messages[-1]["role"] == "user"
    one_ending(await rig.ask("word " * 20, previous_response_id=previous, model="narrow"))
    assert len(rig.backend.requests[-1].messages) == 9
