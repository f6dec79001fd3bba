from typing import Any

import pytest

from portal.backends.scripted import CUT
from portal.core.model import ReasoningDelta, TextDelta, TokenUsage
from portal.core.summary import PROMPT, summarised
from portal.core.tokens import estimate_messages
from portal.errors import BackendError, BadRequest, ModelNotFound
from portal.testing.records import OWNER, answered, said

from .conftest import Rig, calls, one_ending


async def test_a_compaction_stands_for_the_conversation(rig: Rig) -> None:
    rig.backend.script(ReasoningDelta("hm"), TextDelta("They spoke of "), TextDelta("cats."), TokenUsage(40, 5))
    question = said("Tell me of cats.")
    made = await rig.agent.compact(OWNER, "tiny", [question, answered("They purr.")], "Be kind.")
    assert made["object"] == "response.compaction"
    assert made["usage"]["total_tokens"] == 45
    assert made["output"][0] == question
    asked = rig.backend.requests[-1].messages
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "user"]
    rig.backend.answer("yes")
    one_ending(await rig.ask(input=[*made["output"], said("And dogs?")]))
    told = [message["content"] for message in rig.backend.requests[-1].messages]
    assert told == ["Tell me of cats.", "Summary of the conversation so far:\nThey spoke of cats.", "And dogs?"]
    rig.backend.answer("All of it.")
    again = await rig.agent.compact(OWNER, "tiny", made["output"])
    assert [item["type"] for item in again["output"]] == ["message", "compaction"]
    assert rig.sealer.unseal(again["output"][1]["encrypted_content"]) == "All of it."
    assert again["usage"]["input_tokens"] > 0


@pytest.mark.parametrize("token", ["", "x", "portal1.AA.AA", "portal1.é.AA", "portal1.AA.\udc80"])
async def test_a_forged_summary_is_refused(rig: Rig, token: str) -> None:
    forged = {"type": "compaction", "id": "cmp", "encrypted_content": token}
    with pytest.raises(BadRequest) as refused:
        await rig.start(input=[forged, said("hi")])
    assert refused.value.code == "invalid_encrypted_content"
    assert "begin" not in rig.log.begun


async def test_a_compaction_is_accounted_for(rig: Rig) -> None:
    rig.backend.script(TextDelta("They spoke."), TokenUsage(40, 5))
    await rig.agent.compact(OWNER, "tiny", [said("Tell me of cats.")])
    rig.backend.script(TextDelta("They"), CUT)
    with pytest.raises(BackendError):
        await rig.agent.compact(OWNER, "tiny", [said("Tell me of cats.")])
    assert await calls(rig) == [("compact", "completed", 40, 5), ("compact", "failed", 63, 1)]


async def test_no_part_of_a_long_message_is_left_out() -> None:
    told: list[str] = []

    async def tell(messages: list[dict[str, Any]]) -> str:
        assert estimate_messages(messages) < 900
        told.extend(str(message["content"]) for message in messages)
        return "so far"

    words = " ".join(f"word{number}" for number in range(2_000))
    for text in (words, "漢字" * 3_000):
        told.clear()
        assert await summarised([{"role": "user", "content": text}], 600, tell) == "so far"
        assert text in "".join(one for one in told if not one.startswith(("Summar", PROMPT)))


async def test_what_cannot_be_compacted(rig: Rig) -> None:
    with pytest.raises(BadRequest):
        await rig.agent.compact(OWNER, "tiny", [])
    with pytest.raises(ModelNotFound):
        await rig.agent.compact(OWNER, "nobody", [said("a")])
    with pytest.raises(BackendError):
        await rig.agent.compact(OWNER, "tiny", [said("a")])
