"""What a Messages request becomes for the model."""

import base64

import pytest

from portal.errors import BadRequest
from portal.interfaces.anthropic.aliases import resolved
from portal.interfaces.anthropic.request import chat_payload, plain, shows_thinking
from portal.interfaces.anthropic.schema import CreateMessage

USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich"}}
CALL = {
    "id": "toolu_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Zürich"}'},
}
CAT = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
CAT_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
WEATHER = {"name": "weather", "description": "The weather.", "input_schema": {"type": "object", "properties": {}}}


def converted(**fields):
    body = {"model": "tiny", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}], **fields}
    return chat_payload(CreateMessage.model_validate(body))


def messages(*turns, **fields):
    sent = [{"role": role, "content": content} for role, content in turns]
    return [plain(message) for message in converted(messages=sent, **fields)["messages"]]


def text(words, **more):
    return {"type": "text", "text": words, **more}


def result(content=None, **more):
    found = {} if content is None else {"content": content}
    return {"type": "tool_result", "tool_use_id": "toolu_1", **found, **more}


class TestMessages:
    def test_system_is_one_message_at_the_beginning(self):
        cached = {"cache_control": {"type": "ephemeral"}}
        assert messages(("user", "Hi"), system="Be kind.")[0] == {"role": "system", "content": "Be kind."}
        made = messages(("user", "Hi"), system=[text("Be kind.", **cached), text("Be brief.")])
        assert made == [{"role": "system", "content": "Be kind.\n\nBe brief."}, {"role": "user", "content": "Hi"}]

    def test_what_changes_with_each_request_is_left_out(self):
        changing = text("x-anthropic-billing-header: cc_version=2.1; cch=36ee5;")
        made = messages(("user", "Hi"), system=[changing, text("Be kind.")])
        assert made[0] == {"role": "system", "content": "Be kind."}
        assert [message["role"] for message in messages(("user", "Hi"), system=[changing])] == ["user"]

    def test_system_messages_among_the_others(self):
        made = messages(
            ("system", "One"), ("system", "Two"), ("user", "Hi"), ("system", [text("Three")]), system="Zero"
        )
        assert made == [
            {"role": "system", "content": "Zero\n\nOne\n\nTwo"},
            {"role": "user", "content": "Hi\n\n<system>\nThree\n</system>"},
        ]
        assert messages(("system", "One"), ("user", "Hi"))[0] == {"role": "system", "content": "One"}

    def test_turns_of_one_role_are_joined(self):
        made = messages(
            ("user", "Hi"), ("user", [text("there")]), ("assistant", "Hel"), ("assistant", "lo"), ("user", "?")
        )
        assert made == [
            {"role": "user", "content": "Hi\n\nthere"},
            {"role": "assistant", "content": "Hel\n\nlo"},
            {"role": "user", "content": "?"},
        ]

    def test_pictures_stay_parts(self):
        far = {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}
        (made,) = messages(("user", [text("What?"), CAT, far]))
        assert made["content"] == [
            text("What?"),
            CAT_PART,
            {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        ]

    def test_calls_thoughts_and_what_foreign_servers_did(self):
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "portal"}
        searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
        hidden = {"type": "redacted_thinking", "data": "x"}
        made = messages(
            ("user", "Hi"), ("assistant", [thought, hidden, searched, text("Wait."), USE]), ("user", [result("ok")])
        )
        assert made[1] == {
            "role": "assistant",
            "content": "Wait.",
            "reasoning_content": "Hm.",
            "tool_calls": [CALL],
        }
        assert messages(("user", "Hi"), ("assistant", [USE]))[1] == {
            "role": "assistant",
            "content": None,
            "tool_calls": [CALL],
        }

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            (result(), ""),
            (result("sun"), "sun"),
            (result([]), ""),
            (result([text("sun"), text("wind")]), "sun\n\nwind"),
            (result("no such city", is_error=True), "Error: no such city"),
            (result([{"type": "tool_reference", "tool_name": "grep"}]), "Tool: grep"),
            (
                result([{"type": "search_result", "title": "T", "source": "S", "content": [text("a"), text("b")]}]),
                "T (S):\na\nb",
            ),
        ],
    )
    def test_results(self, sent, told):
        made = messages(("user", "Hi"), ("assistant", [USE]), ("user", [sent]))
        assert made[2:] == [{"role": "tool", "tool_call_id": "toolu_1", "content": told}]

    def test_results_come_first_and_their_pictures_as_the_users(self):
        other = {**result("rain"), "tool_use_id": "toolu_2"}
        made = messages(
            ("user", "Hi"), ("assistant", [USE]), ("user", [text("And?"), result([text("see"), CAT]), other])
        )
        assert made[2:] == [
            {"role": "tool", "tool_call_id": "toolu_1", "content": "see"},
            {"role": "tool", "tool_call_id": "toolu_2", "content": "rain"},
            {"role": "user", "content": [text("Pictures from the tools' results:"), CAT_PART, text("And?")]},
        ]

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ({"type": "text", "media_type": "text/plain", "data": "Zürich"}, "File map:\n```\nZürich\n```"),
            (
                {"type": "base64", "media_type": "text/csv", "data": base64.b64encode(b"a,b").decode()},
                "File map:\n```\na,b\n```",
            ),
            ({"type": "content", "content": "Zürich"}, "map:\n\nZürich"),
            ({"type": "content", "content": [text("a"), text("b")]}, "map:\n\na\n\nb"),
        ],
    )
    def test_documents_are_text(self, source, told):
        document = {
            "type": "document",
            "source": source,
            "title": "map",
            "context": "Old.",
            "citations": {"enabled": True},
        }
        assert messages(("user", [document])) == [{"role": "user", "content": f"Old.\n\n{told}"}]

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ({"type": "base64", "media_type": "application/pdf", "data": "AA=="}, "is a PDF"),
            ({"type": "base64", "media_type": "text/plain", "data": "~"}, "not base64"),
            ({"type": "base64", "media_type": "text/plain", "data": "/w=="}, "is not text"),
        ],
    )
    def test_documents_that_are_none(self, source, words):
        with pytest.raises(BadRequest, match=words):
            messages(("user", [{"type": "document", "source": source}]))


class TestParameters:
    def test_sampling_and_what_means_nothing_here(self):
        made = converted(
            temperature=1,
            top_p=0.5,
            top_k=5,
            stream=True,
            stop_sequences=["END"],
            metadata={"user_id": "u"},
            service_tier="auto",
            context_management={"edits": []},
            mcp_servers=[],
            betas=["x"],
        )
        assert made == {
            "model": "tiny",
            "messages": [{"role": "user", "content": [text("Hi")]}],
            "max_tokens": 10,
            "temperature": 1,
            "top_p": 0.5,
            "top_k": 5,
            "stream": True,
        }

    def test_tools(self):
        made = converted(tools=[{**WEATHER, "type": "custom", "cache_control": {"type": "ephemeral"}, "strict": True}])
        function = {
            "name": "weather",
            "description": "The weather.",
            "parameters": WEATHER["input_schema"],
            "strict": True,
        }
        assert made["tools"] == [{"type": "function", "function": function}]
        assert "tool_choice" not in made
        assert "tools" not in converted(tools=[], tool_choice={"type": "auto"})

    @pytest.mark.parametrize(
        ("choice", "made"),
        [
            ({"type": "auto"}, {"tool_choice": "auto"}),
            ({"type": "any"}, {"tool_choice": "required"}),
            ({"type": "none"}, {"tool_choice": "none"}),
            (
                {"type": "tool", "name": "weather"},
                {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
            ),
            (
                {"type": "any", "disable_parallel_tool_use": True},
                {"tool_choice": "required", "parallel_tool_calls": False},
            ),
        ],
    )
    def test_tool_choice(self, choice, made):
        got = converted(tools=[WEATHER], tool_choice=choice)
        assert {name: got[name] for name in ("tool_choice", "parallel_tool_calls") if name in got} == made

    @pytest.mark.parametrize(
        ("fields", "effort", "shown"),
        [
            ({}, None, False),
            ({"thinking": {"type": "disabled"}}, "none", False),
            ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low", True),
            ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "medium", True),
            ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high", True),
            ({"thinking": {"type": "adaptive"}}, None, True),
            ({"thinking": {"type": "adaptive", "display": "omitted"}}, None, False),
            ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high", True),
            ({"output_config": {"effort": "low"}}, "low", False),
            ({"output_config": {"effort": "enormous"}}, None, False),
        ],
    )
    def test_thinking(self, fields, effort, shown):
        body = {"model": "tiny", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}], **fields}
        request = CreateMessage.model_validate(body)
        assert chat_payload(request).get("reasoning_effort") == effort
        assert shows_thinking(request) is shown

    @pytest.mark.parametrize("name", ["output_format", "output_config"])
    def test_structured_output(self, name):
        wanted = {"type": "json_schema", "schema": {"type": "object"}}
        made = converted(**{name: {"format": wanted} if name == "output_config" else wanted})
        assert made["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}},
        }


def test_aliases():
    known = {"claude-*": "auto-coding", "claude-haiku": "tiny", "claude-s*": "never"}
    names = ["claude-haiku", "claude-sonnet", "Claude-x", "tiny"]
    assert [resolved(name, known) for name in names] == ["tiny", "auto-coding", "Claude-x", "tiny"]
