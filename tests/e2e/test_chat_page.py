import asyncio
from collections.abc import Sequence

import aiohttp
import pytest
from playwright.async_api import FilePayload
from tests.e2e.browser import Visit, Visiting, composer, expect, in_browser_loop

from portal.backends.scripted import ScriptedBackend, Step, echo
from portal.core.model import ModelInfo, ModelRequest, Progress, ReasoningDelta, TextDelta
from portal.errors import BackendUnavailable

pytestmark = in_browser_loop


def answers(visit: Visit, model: str = "tiny"):  # type: ignore[no-untyped-def]
    return visit.page.get_by_role("article", name=f"{model} answered")


async def test_an_answer_streams_and_a_reload_in_its_middle_goes_on(visiting: Visiting) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("First **half**, "), gate, TextDelta("second half."))
    async with visiting(backend=backend) as visit:
        await visit.ask("Tell me")
        text = answers(visit).locator(".md")
        await expect(text).to_contain_text("First half,")
        await expect(text.locator("strong")).to_have_text("half")

        await visit.page.reload()
        await expect(text).to_contain_text("First half,")
        gate.set()
        await expect(text).to_have_text("First half, second half.")
        await expect(visit.page.get_by_role("button", name="Copy answer")).to_be_visible()
        assert len(backend.requests) == 1


async def test_a_second_device_sees_the_answer_grow(visiting: Visiting) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("one "), gates[0], TextDelta("two "), gates[1], TextDelta("three"))
    backend.answer("Again.")
    async with visiting(backend=backend) as visit:
        other = await visit.another()
        await visit.ask("Count")
        await other.get_by_role("link", name="Count").click()
        seen = other.locator(".answer .md").last
        await expect(seen).to_have_text("one")
        gates[0].set()
        await expect(seen).to_have_text("one two")
        gates[1].set()
        await expect(seen).to_have_text("one two three")
        await visit.ask("And again")
        await expect(seen).to_have_text("Again.")


async def test_stopping_keeps_the_text(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("This much"), asyncio.Event(), TextDelta(" and never more"))
    async with visiting(backend=backend) as visit:
        await visit.ask("Go on for ever")
        await expect(answers(visit).locator(".md")).to_have_text("This much")
        await visit.page.keyboard.press("Escape")
        await expect(answers(visit)).to_contain_text("Stopped. What was written stays.")
        await expect(answers(visit).locator(".md")).to_have_text("This much")
        await backend.wait_running(0)
        assert backend.cancelled == 1


async def test_edit_regenerate_and_switch_branches(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny", "other"], default=echo)
    async with visiting(backend=backend) as visit:
        page = visit.page
        await page.get_by_role("button", name="Choose a model").click()
        await page.get_by_role("combobox", name="Find a model").fill("tiny")
        await page.keyboard.press("Enter")
        await visit.ask("red")
        await expect(answers(visit).locator(".md")).to_have_text("red")
        await visit.ask("second")
        await expect(page.locator(".answer")).to_have_count(2)

        await page.get_by_role("button", name="Edit question").first.click()
        await page.get_by_role("textbox", name="Edited question").fill("blue")
        await page.keyboard.press("Enter")
        await expect(answers(visit).locator(".md")).to_have_text("blue")
        await expect(page.get_by_role("group", name="Branch 2 of 2")).to_be_visible()

        await page.get_by_role("button", name="Another model: answer again").click()
        await page.get_by_role("combobox", name="Find a model").fill("other")
        await page.keyboard.press("Enter")
        await expect(answers(visit, "other").locator(".md")).to_have_text("blue")
        await expect(page.get_by_role("group", name="Branch 3 of 3")).to_be_visible()

        await page.get_by_role("button", name="Previous branch").click()
        await expect(page.get_by_role("group", name="Branch 2 of 3")).to_be_visible()
        await page.get_by_role("button", name="Previous branch").click()
        await expect(page.get_by_text("second", exact=True).first).to_be_visible()
        await expect(page.get_by_role("button", name="Next branch")).to_be_focused()
        await page.reload()
        await expect(page.get_by_role("group", name="Branch 1 of 3")).to_be_visible()


NARROW = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat"}), context_window=400)


async def test_a_temporary_chat_longer_than_the_models_window_goes_on_and_says_so(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=[NARROW])
    backend.answer("word " * 300 + "The end.")
    backend.answer("The second.")
    async with visiting(backend=backend) as visit:
        await visit.page.get_by_role("button", name="Temporary conversation").click()
        await visit.ask("One")
        await expect(answers(visit).locator(".md")).to_contain_text("The end.")
        await visit.ask("Two")
        await expect(answers(visit).locator(".md").last).to_have_text("The second.")
        assert [message["content"] for message in backend.requests[-1].messages] == ["Two"]
        await answers(visit).last.get_by_role("button", name="Answered by tiny").click()
        await expect(visit.page.get_by_role("complementary", name="Details")).to_contain_text(
            "Older messages left out2"
        )


async def test_a_chat_longer_than_the_models_window_is_summarised_and_says_so(visiting: Visiting) -> None:
    says = {"One": "word " * 300 + "The end.", "Two": "The second."}

    def said(request: ModelRequest) -> Sequence[Step]:
        """To anything else, that it is to be summarised, however many pieces it takes."""
        return [TextDelta(says.get(request.messages[-1]["content"], "They spoke of one, at length."))]

    backend = ScriptedBackend(models=[NARROW], default=said)
    async with visiting(backend=backend) as visit:
        await visit.ask("One")
        await expect(answers(visit).locator(".md")).to_contain_text("The end.")
        await visit.ask("Two")
        await expect(answers(visit).locator(".md").last).to_have_text("The second.")
        told = [message["content"] for message in backend.requests[-1].messages]
        assert told == ["Summary of the conversation so far:\nThey spoke of one, at length.", "Two"]
        await expect(answers(visit).last).to_contain_text("The beginning of this conversation was summarised")


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)


async def stored_files(visit: Visit) -> list[str]:
    return [one.filename for one in (await visit.portal.portal.storage.files.list(visit.portal.owner)).data]


async def test_attached_files_reach_the_model_and_show_in_the_question(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with visiting(backend=backend) as visit:
        page = visit.page
        await page.locator("input[type=file]").set_input_files(
            [
                {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL},
                {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The word is heron."},
                {"name": "program.bin", "mimeType": "application/octet-stream", "buffer": b"\x7fELF\xe2\xe3\xcf\x00"},
            ]
        )
        await expect(page.get_by_role("button", name="Remove notes.txt")).to_be_visible()
        await expect(page.get_by_text("program.bin is neither a picture nor a recording")).to_be_visible()
        await expect(page.get_by_role("button", name="Remove program.bin")).to_have_count(0)
        await expect(page.get_by_text("tiny cannot see images")).to_be_visible()
        async with page.expect_response(lambda answer: answer.request.method == "DELETE") as deletion:
            await page.get_by_role("button", name="Remove dot.png").click()
        assert (await deletion.value).ok
        assert await stored_files(visit) == ["notes.txt"]
        await visit.ask("What is the word?")
        await expect(page.get_by_role("link", name="Open notes.txt")).to_be_visible()
        await expect(answers(visit).get_by_role("button", name="Copy answer")).to_be_visible()
        assert "The word is heron." in str(backend.requests[0].messages)


GIVE = """(field, kind) => {
    const given = new DataTransfer();
    given.items.add(new File(["text"], `${kind}.txt`, {type: "text/plain"}));
    const event = kind === "paste" ? new ClipboardEvent(kind, {clipboardData: given, bubbles: true, cancelable: true})
        : new DragEvent(kind, {dataTransfer: given, bubbles: true, cancelable: true});
    field.dispatchEvent(event);
}"""


async def test_files_come_by_paste_and_drop_and_a_failed_upload_can_be_repeated(visiting: Visiting) -> None:
    async with visiting() as visit:
        page = visit.page
        refusal = {"error": {"message": "The disk is full.", "type": "server_error", "param": None, "code": "full"}}
        await page.route("**/v1/files", lambda route: route.fulfill(status=507, json=refusal))
        await composer(page).evaluate(GIVE, "paste")
        await expect(page.get_by_text("The disk is full.")).to_be_visible()
        await page.unroute("**/v1/files")
        await expect(page.get_by_role("button", name="Send")).to_be_disabled()
        await page.get_by_role("button", name="Upload paste.txt again").click()
        await expect(page.get_by_text("The disk is full.")).to_have_count(0)
        await composer(page).evaluate(GIVE, "drop")
        await expect(page.get_by_role("button", name="Remove drop.txt")).to_be_visible()
        visit.backend.answer("Thanks.")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator(".question").get_by_role("link")).to_have_count(2)
        await expect(answers(visit).locator(".md")).to_have_text("Thanks.")


async def test_a_failure_says_why_and_trying_again_helps(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(BackendUnavailable("The model server at port 1234 is not running."))
    backend.answer("Here I am.")
    async with visiting(backend=backend) as visit:
        await visit.ask("Anyone?")
        await expect(visit.page.get_by_role("alert")).to_contain_text("port 1234 is not running")
        await visit.page.get_by_role("button", name="Try again").click()
        await expect(answers(visit).locator(".md")).to_have_text("Here I am.")
        await expect(visit.page.get_by_role("alert")).to_have_count(0)


async def test_waits_are_named_and_reasoning_is_folded(visiting: Visiting) -> None:
    gates = [asyncio.Event(), asyncio.Event(), asyncio.Event()]
    backend = ScriptedBackend(models=["tiny"])
    backend.script(
        Progress("loading", "scripted is loading tiny into memory."), gates[0],
        ReasoningDelta("Let me think."), gates[1], TextDelta("Done."), gates[2],
    )  # fmt: skip
    async with visiting(backend=backend) as visit:
        await visit.ask("Think")
        await expect(visit.page.get_by_text("scripted is loading tiny into memory.")).to_be_visible()
        gates[0].set()
        fold = visit.page.locator(".reasoning > summary")
        await expect(fold).to_contain_text("Thinking")
        gates[1].set()
        await expect(fold).to_contain_text("Thought for")
        gates[2].set()
        await fold.click()
        await expect(visit.page.get_by_text("Let me think.")).to_be_visible()


async def test_the_keyboard_is_enough(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["alpha", "beta"], default=echo)
    async with visiting(backend=backend) as visit:
        page = visit.page
        await expect(composer(page)).to_be_focused()
        await page.keyboard.type("first")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("line two")
        await page.keyboard.press("Enter")
        await expect(page.locator(".answer .md")).to_have_text("first line two")
        await expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
        await expect(composer(page)).to_be_focused()
        await page.keyboard.press("ArrowUp")
        edited = page.get_by_role("textbox", name="Edited question")
        await expect(edited).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(edited).to_have_count(0)
        await expect(composer(page)).to_be_focused()

        await page.reload()
        await expect(composer(page)).to_be_focused()
        await page.keyboard.press("Tab")
        chosen = page.get_by_role("button", name="Choose a model")
        await chosen.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog", name="Choose a model").get_by_role("combobox")).to_be_focused()
        await page.keyboard.type("bet")
        await expect(page.get_by_role("option", selected=True)).to_contain_text("beta")
        await page.keyboard.press("Enter")
        await expect(chosen).to_have_attribute("aria-label", "Choose a model: beta")
        await expect(composer(page)).to_be_focused()


async def test_a_draft_survives_a_reload_and_a_temporary_chat_leaves_nothing(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with visiting(backend=backend) as visit:
        page = visit.page
        await composer(page).fill("half a thought")
        await page.reload()
        await expect(composer(page)).to_have_value("half a thought")

        await page.get_by_role("button", name="Temporary conversation").click()
        await visit.ask("a secret")
        await expect(answers(visit).locator(".md")).to_have_text("a secret")
        await visit.ask("what was it?")
        await expect(page.locator(".answer .md")).to_have_count(2)
        assert [message["content"] for message in backend.requests[-1].messages][-3:-1] == ["a secret", "a secret"]
        found = await visit.portal.portal.storage.conversations.list(visit.portal.owner, limit=10)
        assert found.data == []


NOTE: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The word is heron."}
DRAFTS = "Object.keys(localStorage).filter((key) => key.startsWith('portal:draft:')).map((key) => localStorage[key])"
HELD = """() => {
  const { arrayBuffer } = Blob.prototype;
  const held = new Promise((resolve) => (window.letGo = resolve));
  Blob.prototype.arrayBuffer = async function () { await held; return arrayBuffer.call(this); };
}"""


async def test_files_of_a_temporary_chat_stay_in_the_browser(visiting: Visiting) -> None:
    seeing = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "vision"}))
    backend = ScriptedBackend(models=[seeing], default=echo)
    async with visiting(backend=backend) as visit:
        page = visit.page
        await page.locator("input[type=file]").set_input_files(NOTE)
        await expect(page.locator(".composer button[type=submit]")).to_be_enabled()
        assert await stored_files(visit) == ["notes.txt"]
        async with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            await page.get_by_role("button", name="Temporary conversation").click()
        dot = {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}
        await page.locator("input[type=file]").set_input_files(dot)
        pdf = {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4\0"}
        await page.locator("input[type=file]").set_input_files(pdf)
        await expect(page.get_by_text("takes pictures and text files only")).to_be_visible()
        await page.get_by_role("button", name="Remove a.pdf").click()
        await expect(page.get_by_role("button", name="Remove dot.png")).to_be_visible()
        await visit.ask("What is the word?")
        await expect(answers(visit).locator(".md")).to_contain_text("What is the word?")
        for text in ("The word is heron.", "data:image/png;base64,"):
            assert text in str(backend.requests[-1].messages)
        await expect(page.locator(".question img")).to_be_visible()
        await expect(page.locator(".question").get_by_text("notes.txt")).to_be_visible()
        await expect(page.get_by_role("button", name="Good answer")).to_have_count(0)
        await visit.ask("And now?")
        await expect(page.locator(".answer .md")).to_have_count(2)
        assert "The word is heron." in str(backend.requests[-1].messages)
        assert await stored_files(visit) == []


async def test_giving_up_a_temporary_chat_uploads_what_waits(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=echo)) as visit:
        page, waiting = visit.page, visit.page.locator("input[type=file]")
        switch = page.get_by_role("button", name="Temporary conversation")
        await composer(page).fill("Keep this")
        await switch.click()
        await waiting.set_input_files(NOTE)
        await expect(page.locator(".composer button[type=submit]")).to_be_enabled()
        assert await page.evaluate(DRAFTS) == []
        await page.evaluate(HELD)
        await waiting.set_input_files({"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4\0"})
        await expect(page.get_by_role("button", name="Remove a.pdf")).to_be_visible()
        async with page.expect_response("**/v1/files"):
            await switch.click()
        await page.evaluate("letGo()")
        await expect(page.locator(".composer button[type=submit]")).to_be_enabled()
        await expect(page.get_by_text("takes pictures and text files only")).to_have_count(0)
        assert await page.evaluate(DRAFTS) == ["Keep this"]
        assert sorted(await stored_files(visit)) == ["a.pdf", "notes.txt"]


async def test_what_waits_in_a_temporary_chat_is_gone_when_it_is_left(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=echo)) as visit:
        page, waiting = visit.page, visit.page.locator("input[type=file]")
        switch = page.get_by_role("button", name="Temporary conversation")
        uploads: list[str] = []
        page.on("request", lambda asked: uploads.append(asked.url) if asked.url.endswith("/v1/files") else None)
        await visit.ask("In the open")
        await expect(answers(visit).locator(".md")).to_have_text("In the open")
        new = page.get_by_role("link", name="New chat").first
        for leave in (new, page.get_by_role("link", name="In the open", exact=True)):
            await new.click()
            await switch.click()
            await waiting.set_input_files(NOTE)
            await composer(page).fill("a secret")
            await expect(page.locator(".composer button[type=submit]")).to_be_enabled()
            await page.evaluate(HELD)
            await waiting.set_input_files({**NOTE, "name": "late.txt"})  # looked at only when the chat is gone
            await leave.click()
            await expect(composer(page)).to_have_value("")
            await page.evaluate("letGo()")
            await expect(page.get_by_role("button", name="Remove")).to_have_count(0)
            await composer(page).press_sequentially("!")
            assert await page.evaluate(DRAFTS) == ["!"]
            await composer(page).fill("")
        assert uploads == []


async def test_the_files_of_a_temporary_chat_fit_into_a_question(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=lambda request: [TextDelta("Noted.")])
    async with visiting(backend=backend, settings={"server": {"max_body": 20_000}}) as visit:
        page, waiting = visit.page, visit.page.locator("input[type=file]")
        await page.get_by_role("button", name="Temporary conversation").click()
        large = {"name": "large.txt", "mimeType": "text/plain", "buffer": b"word " * 1_800}
        await waiting.set_input_files([large, {**large, "name": "second.txt"}])
        refused = page.get_by_text("go along with each question and may have 14 kB together")
        await expect(refused).to_have_count(1)
        await page.get_by_role("button", name="Remove second.txt").click()
        await visit.ask("One")
        await expect(answers(visit).locator(".md")).to_have_text("Noted.")
        await waiting.set_input_files({**large, "name": "third.txt"})
        await expect(refused).to_be_visible()
        await page.get_by_role("button", name="Remove third.txt").click()
        await waiting.set_input_files(NOTE)
        await visit.ask("Two")
        await expect(answers(visit).locator(".md")).to_have_text(["Noted.", "Noted."])
        assert "heron" in str(backend.requests[-1].messages)


HOSTILE = """<script>document.title = "broken in"</script>

<img src="https://tracker.example/pixel.png" onerror="document.title = 'broken in'">

[click](javascript:document.title='broken') ![remote](https://tracker.example/a.png)

<b onclick="x">bold</b>
"""
RICH = """## Heading

| a | b |
|---|---|
| 1 | 2 |

```python
def f(): return "x"
```

Euler: $e^{i\\pi} = -1$ and it costs $5 or $6.
"""


async def test_markdown_is_rich_and_harmless(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.answer(*[RICH[start : start + 7] for start in range(0, len(RICH), 7)])
    backend.answer(HOSTILE)
    async with visiting(backend=backend) as visit:
        page = visit.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await visit.ask("Show")
        answer = page.locator(".answer").first
        await expect(answer.get_by_role("cell", name="2")).to_be_visible()
        await expect(answer.locator(".hljs-keyword")).to_have_text(["def", "return"])
        await expect(answer.locator("math")).to_have_count(1)
        await expect(answer).to_contain_text("it costs $5 or $6.")
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await answer.get_by_role("button", name="Copy code").click()
        assert await page.evaluate("navigator.clipboard.readText()") == 'def f(): return "x"'

        await visit.ask("Attack")
        second = page.locator(".answer").nth(1)
        await expect(second.get_by_role("button", name="Copy answer")).to_be_visible()
        await expect(second.get_by_role("link", name="remote, an image at tracker.example")).to_be_visible()
        await expect(second.locator("img, script, [onclick], a[href^=javascript]")).to_have_count(0)
        assert "broken" not in await page.title()
        assert [url for url in asked if not url.startswith((visit.portal.url, "blob:"))] == []


async def test_each_paragraph_runs_as_its_script_does(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.answer("שלום, `x = 1` עולם.\n\nAnd English.\n\n- one\n\n```python\nprint(1)\n```\n")
    async with visiting(backend=backend) as visit:
        await visit.page.locator("#composer").fill("مرحبا بالعالم")
        runs = "element => getComputedStyle(element).direction"
        assert await visit.page.locator("#composer").evaluate(runs) == "rtl"
        await visit.ask("مرحبا بالعالم")
        answer = visit.page.locator(".answer").first
        await expect(answer.locator(".code")).to_be_visible()
        assert await visit.page.locator(".bubble").evaluate(runs) == "rtl"
        assert await answer.locator(".md").evaluate(runs) == "rtl"
        assert await answer.locator(".code").evaluate(runs) == "ltr"
        assert await answer.locator("ul").evaluate(runs) == "ltr"
        ends = (
            "element => { const range = document.createRange(); range.selectNodeContents(element);"
            " const box = element.getBoundingClientRect(), text = range.getBoundingClientRect();"
            " return [text.left - box.left < 1, box.right - text.right < 1]; }"
        )
        paragraphs = answer.locator(".md > p")
        assert await paragraphs.nth(0).evaluate(ends) == [False, True]
        assert await paragraphs.nth(1).evaluate(ends) == [True, False]


async def test_older_turns_come_without_a_jump_and_far_ones_leave_the_document(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with visiting(backend=backend, at=None) as visit:
        page = visit.page
        conversation = (await visit.post("/portal/v1/conversations", {}))["id"]
        for number in range(70):
            words = f"Number {number}. " + "word " * 60
            await visit.post("/v1/responses", {"model": "tiny", "input": words, "conversation": conversation})
        await page.goto(f"{visit.portal.url}/c/{conversation}")
        await expect(page.get_by_text("Number 69").first).to_be_in_viewport()
        assert await page.locator(".turn-row").count() == 30

        marked = page.locator(".bubble", has_text="Number 42.")
        await page.locator(".turn-row").nth(2).evaluate("element => element.scrollIntoView()")
        before = await marked.evaluate("element => element.getBoundingClientRect().top")
        await expect(page.locator(".turn-row")).to_have_count(60)
        after = await marked.evaluate("element => element.getBoundingClientRect().top")
        assert abs(after - before) < 3
        await expect(page.get_by_role("button", name="Jump to the latest")).to_be_visible()
        await page.get_by_role("button", name="Jump to the latest").click()
        await expect(page.get_by_text("Number 69").first).to_be_in_viewport()
        await expect(page.locator(".bubble")).not_to_have_count(60)


@pytest.mark.parametrize("lost", ["offline", "broken"])
async def test_a_lost_connection_is_taken_up_again(visiting: Visiting, lost: str) -> None:
    gate = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("Before. "), gate, TextDelta("After."))
    async with visiting(backend=backend) as visit:
        await visit.ask("Hold on")
        text = answers(visit).locator(".md")
        await expect(text).to_have_text("Before.")
        if lost == "offline":
            await visit.context.set_offline(True)
            gate.set()
            await backend.wait_running(0)
            await visit.context.set_offline(False)
        else:
            await visit.context.route("**/v1/responses/*stream=true*", lambda route: route.abort(), times=1)
            await visit.page.reload()
            gate.set()
        await expect(text).to_have_text("Before. After.")
        assert len(backend.requests) == 1


async def test_a_question_that_portal_never_got_stays_until_it_has_it(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with visiting(backend=backend) as visit:
        page = visit.page
        await visit.ask("First")
        await expect(page.locator(".answer .md")).to_have_text(["First"])
        await visit.context.set_offline(True)
        await visit.ask("Second")
        await expect(page.get_by_role("alert").filter(has_text="Try again")).to_contain_text("cannot be reached")

        await visit.context.set_offline(False)
        about = visit.portal.url + "/portal/v1/conversations/" + page.url.rsplit("/", 1)[-1]
        async with (
            page.expect_response(lambda answer: "/turns" in answer.url),
            aiohttp.ClientSession(headers=visit.portal.headers) as client,
            client.patch(about, json={"title": "Renamed elsewhere"}) as renamed,
        ):
            renamed.raise_for_status()
        await expect(page.locator(".bubble")).to_have_text(["First", "Second"])
        await page.reload()
        await expect(composer(page)).to_have_value("Second")
        await expect(page.get_by_role("button", name="Send")).to_be_enabled()  # once what was said is loaded
        await composer(page).press("Enter")
        await expect(page.locator(".answer .md")).to_have_text(["First", "Second"])
        await page.reload()
        await expect(page.locator(".answer .md")).to_have_text(["First", "Second"])
        await expect(composer(page)).to_have_value("")


async def test_after_a_restart_an_unfinished_answer_is_whole_as_far_as_it_went(visiting: Visiting) -> None:
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("As far as this."), asyncio.Event(), TextDelta(" Never here."))
    async with visiting(backend=backend) as visit:
        await visit.ask("Begin")
        await expect(answers(visit).locator(".md")).to_have_text("As far as this.")
        address = visit.page.url.removeprefix(visit.portal.url)

    again = ScriptedBackend(models=["tiny"])
    again.answer("All of it.")
    async with visiting(backend=again, at=None) as visit:
        await visit.page.goto(visit.portal.url + address)
        await expect(answers(visit).locator(".md")).to_have_text("As far as this.")
        await expect(answers(visit)).to_contain_text("What was written stays.")
        await visit.page.get_by_role("button", name="Answer again", exact=True).click()
        await expect(answers(visit).locator(".md")).to_have_text("All of it.")
        await expect(visit.page.get_by_role("group", name="Branch 2 of 2")).to_be_visible()


FAST = """text => {
  const field = document.activeElement;
  field.value = text;
  field.dispatchEvent(new InputEvent('input', { bubbles: true }));
  field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
}"""


async def test_a_name_typed_within_a_frame_is_the_one_that_is_picked(visiting: Visiting) -> None:
    async with visiting(backend=ScriptedBackend(models=["alpha", "beta", "gamma"])) as visit:
        page = visit.page
        button = page.get_by_role("button", name="Choose a model:")
        await button.click()
        await expect(page.get_by_label("Find a model")).to_be_focused()
        await page.evaluate(FAST, "gamma")
        await expect(button).to_have_accessible_name("Choose a model: gamma")
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("combobox", name="Commands")).to_be_focused()
        await page.evaluate(FAST, "Tools")
        await expect(page).to_have_url(visit.portal.url + "/tools")
