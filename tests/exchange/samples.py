"""Exports as the other programs make them, small, with one of everything that is in real ones."""

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def packed(members: Mapping[str, bytes | str | Any]) -> bytes:
    """A zip of these files; what is no text is written as JSON."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            data = content if isinstance(content, (bytes, str)) else json.dumps(content)
            archive.writestr(name, data)
    return made.getvalue()


def node(
    key: str,
    parent: str | None,
    role: str,
    content: Mapping[str, Any] | str,
    *,
    at: float | None = None,
    children: Sequence[str] = (),
    **message: Any,
) -> dict[str, Any]:
    """A node of ChatGPT's tree."""
    said = {"content_type": "text", "parts": [content]} if isinstance(content, str) else dict(content)
    meta = message.pop("metadata", {})
    author = {"role": role, "name": message.pop("name", None), "metadata": {}}
    return {
        "id": key,
        "parent": parent,
        "children": list(children),
        "message": {
            "id": key,
            "author": author,
            "create_time": at,
            "content": said,
            "status": "finished_successfully",
            "weight": 1.0,
            "metadata": meta,
            "recipient": message.pop("recipient", "all"),
            **message,
        },
    }


def chatgpt_conversation(key: str = "6b0f-1", **fields: Any) -> dict[str, Any]:
    """One with two answers to its second question, custom instructions, thoughts, a tool and pictures."""
    nodes = [
        {"id": "root", "message": None, "parent": None, "children": ["ctx"]},
        node(
            "ctx",
            "root",
            "user",
            {
                "content_type": "user_editable_context",
                "user_profile": "I am a baker.",
                "user_instructions": "Be brief.",
            },
            metadata={"is_visually_hidden_from_conversation": True},
        ),
        node("sys", "ctx", "system", ""),
        node("u1", "sys", "user", "How much flour for ten rolls?", at=1756000001.0),
        node(
            "t1",
            "u1",
            "assistant",
            {"content_type": "thoughts", "thoughts": [{"summary": "Counting", "content": "50 g each"}]},
            at=1756000001.5,
            metadata={"model_slug": "gpt-5-thinking"},
        ),
        node(
            "r1", "t1", "assistant", {"content_type": "reasoning_recap", "content": "Thought for 3s"}, at=1756000001.7
        ),
        node(
            "c1",
            "r1",
            "assistant",
            {"content_type": "code", "language": "unknown", "text": "print(10 * 50)"},
            at=1756000002.0,
            recipient="python",
            metadata={"model_slug": "gpt-5-thinking"},
        ),
        node("o1", "c1", "tool", {"content_type": "execution_output", "text": "500"}, at=1756000002.5, name="python"),
        node(
            "a1",
            "o1",
            "assistant",
            "About 500 g of flour.\ue200cite\ue202turn0search1\ue201",
            at=1756000003.0,
            metadata={"model_slug": "gpt-5-thinking"},
        ),
        node(
            "u2",
            "a1",
            "user",
            {
                "content_type": "multimodal_text",
                "parts": [
                    {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_0000abcd", "width": 1},
                    "Do these look done?",
                ],
            },
            at=1756000010.0,
            metadata={"attachments": [{"id": "file_0000abcd", "name": "../../rolls.png", "mimeType": "image/png"}]},
        ),
        node("a2", "u2", "assistant", "Two more minutes.", at=1756000011.0, metadata={"model_slug": "gpt-5"}),
        node("a3", "u2", "assistant", "They are done.", at=1756000020.0, metadata={"model_slug": "gpt-4o"}),
        node("u3", "a3", "user", "Draw one.", at=1756000030.0),
        node("d1", "u3", "assistant", '{"prompt": "a roll"}', at=1756000031.0, recipient="dalle.text2im"),
        node(
            "d2",
            "d1",
            "tool",
            {
                "content_type": "multimodal_text",
                "parts": [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-Drawn1"}],
            },
            at=1756000032.0,
            name="dalle.text2im",
        ),
    ]
    return {
        "title": "Baking rolls",
        "create_time": 1756000000.123456,
        "update_time": 1756000040.5,
        "mapping": {each["id"]: each for each in nodes},
        "current_node": "d2",
        "conversation_id": key,
        "id": key,
        "default_model_slug": "gpt-5",
        "gizmo_id": "g-p-68abcdef123456",
        "is_archived": False,
        "some_new_field": {"x": 1},
        **fields,
    }


def chatgpt(conversations: Sequence[Any] | None = None) -> bytes:
    """The zip."""
    broken = {"title": "Broken", "create_time": 1756000500.0, "id": "6b0f-2"}
    return packed(
        {
            "conversations.json": [chatgpt_conversation(), broken] if conversations is None else list(conversations),
            "user.json": {"id": "user-1", "email": "ann@example.com"},
            "message_feedback.json": [{"id": "a3", "conversation_id": "6b0f-1", "rating": "thumbs_up"}],
            "chat.html": "<html></html>",
            "file_0000abcd-sanitized.png": PNG,
            "dalle-generations/file-Drawn1-0f0f.dat": PNG,
        }
    )


MESSAGES_OF_CHATGPT = 14
"""Nodes of the sample that are messages."""


def claude() -> bytes:
    """Claude's zip: a conversation with two wordings of its question, a project, and what it remembers."""
    root = "00000000-0000-4000-8000-000000000000"

    def said(key: str, parent: str, sender: str, content: list[Any], at: str, **fields: Any) -> dict[str, Any]:
        told = {"uuid": key, "sender": sender, "text": "", "content": content, "created_at": at, "updated_at": at}
        return {**told, "attachments": [], "files": [], "parent_message_uuid": parent, **fields}

    conversation = {
        "uuid": "c-1",
        "name": "Ferry plans",
        "summary": "",
        "created_at": "2026-03-29T07:06:34.084721Z",
        "updated_at": "2026-03-29T12:59:41.658730Z",
        "account": {"uuid": "acc"},
        "project": {"uuid": "p-1", "name": "Trip"},
        "chat_messages": [
            said("h1", root, "human", [{"type": "text", "text": "Which ferry?"}], "2026-03-29T07:06:35Z"),
            said("h2", root, "human", [{"type": "text", "text": "Which ferry to Bergen?"}], "2026-03-29T07:07:00Z"),
            said(
                "b1",
                "h2",
                "assistant",
                [
                    {"type": "thinking", "thinking": "They mean the night ferry."},
                    {"type": "tool_use", "id": "toolu_1", "name": "web_search", "input": {"query": "ferry bergen"}},
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "name": "web_search",
                        "content": [{"type": "text", "text": "21:00 daily"}],
                    },
                    {"type": "text", "text": "The one at nine in the evening.", "citations": []},
                ],
                "2026-03-29T07:07:10Z",
            ),
            said(
                "h3",
                "b1",
                "human",
                [],
                "2026-03-29T07:08:00Z",
                text="Here is my list.",
                attachments=[
                    {"file_name": "list.pdf", "file_type": "pdf", "file_size": 9, "extracted_content": "tent\nstove"}
                ],
                files=[{"file_name": "photo.jpg", "file_uuid": "f-1"}],
            ),
            said("b2", "h3", "assistant", [{"type": "text", "text": "Take both."}], "2026-03-29T07:08:09Z"),
        ],
    }
    return packed(
        {
            "users.json": [{"uuid": "acc", "full_name": "Ann"}],
            "conversations.json": [conversation, {"uuid": "c-2", "name": "", "chat_messages": []}],
            "projects.json": [
                {
                    "uuid": "p-1",
                    "name": "Trip",
                    "description": "Norway in June",
                    "prompt_template": "Answer in metric units.",
                    "created_at": "2026-03-01T00:00:00Z",
                    "docs": [{"uuid": "d-1", "filename": "route.md", "content": "Oslo, Bergen"}],
                },
                {"uuid": "p-2", "name": "How to use Claude", "is_starter_project": True, "docs": []},
            ],
            "memories.json": [
                {"conversations_memory": "**Work context**\n\nAnn bakes bread in Oslo.", "project_memories": {}}
            ],
        }
    )


def openwebui() -> list[Any]:
    """Chats of Open WebUI: an old one with tags in its text, a new one with items, one that is only a list."""
    picture = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    return [
        {
            "id": "w-1",
            "user_id": "u",
            "title": "Sums",
            "chat": {
                "models": ["deepseek-r1"],
                "params": {"system": "You are exact."},
                "history": {
                    "currentId": "m2",
                    "messages": {
                        "m1": {
                            "id": "m1",
                            "parentId": None,
                            "childrenIds": ["m2", "m3"],
                            "role": "user",
                            "content": "What is 15 * 17?",
                            "timestamp": 1700000000,
                            "files": [{"type": "image", "url": picture}, {"type": "collection", "id": "k"}],
                        },
                        "m2": {
                            "id": "m2",
                            "parentId": "m1",
                            "role": "assistant",
                            "content": (
                                '<details type="reasoning" done="true" duration="3">\n<summary>Thought</summary>\n'
                                "&gt; 150 + 105\n</details>\n255"
                            ),
                            "model": "deepseek-r1",
                            "timestamp": 1700000010,
                            "annotation": {"rating": 1},
                        },
                        "m3": {
                            "id": "m3",
                            "parentId": "m1",
                            "role": "assistant",
                            "content": "<think>easy</think>256",
                            "model": "llama3:8b",
                            "timestamp": 1700000012,
                        },
                    },
                },
            },
            "created_at": 1700000000,
            "updated_at": 1700000012,
            "pinned": True,
            "folder_id": None,
        },
        {
            "id": "w-2",
            "user_id": "u",
            "title": "Weather",
            "chat": {
                "history": {
                    "currentId": "n2",
                    "messages": {
                        "n1": {
                            "id": "n1",
                            "parentId": None,
                            "role": "user",
                            "content": "Rain?",
                            "timestamp": 1700001000,
                        },
                        "n2": {
                            "id": "n2",
                            "parentId": "n1",
                            "role": "assistant",
                            "content": "18C, rain",
                            "model": "gpt-4o",
                            "timestamp": 1700001020,
                            "output": [
                                {"type": "reasoning", "content": [{"type": "output_text", "text": "Ask."}]},
                                {"type": "function_call", "call_id": "k1", "name": "weather", "arguments": '{"c":1}'},
                                {
                                    "type": "function_call_output",
                                    "call_id": "k1",
                                    "output": [{"type": "input_text", "text": "18C"}],
                                },
                                {"type": "message", "content": [{"type": "output_text", "text": "18C, rain"}]},
                            ],
                        },
                    },
                }
            },
            "created_at": 1700001000,
            "updated_at": 1700001020,
        },
        {
            "id": "w-3",
            "title": "Old",
            "chat": {
                "messages": [
                    {"role": "user", "content": "Hello", "timestamp": 1690000000},
                    {
                        "role": "assistant",
                        "content": (
                            'Let me look.<details type="tool_calls" name="clock" arguments="&quot;{}&quot;" '
                            'result="&quot;noon&quot;"><summary>Ran</summary></details>It is noon.'
                        ),
                        "timestamp": 1690000001,
                    },
                ]
            },
            "created_at": 1690000000,
            "updated_at": 1690000001,
        },
    ]


def librechat() -> dict[str, Any]:
    """A conversation of LibreChat, its messages below each other."""
    return {
        "conversationId": "4a86-1",
        "endpoint": "openAI",
        "title": "Virtual environments",
        "exportAt": "13:18:04 GMT-0400",
        "branches": True,
        "recursive": True,
        "options": {"model": "gpt-4-turbo", "promptPrefix": "You are an expert."},
        "messages": [
            {
                "messageId": "x1",
                "parentMessageId": "00000000-0000-0000-0000-000000000000",
                "createdAt": "2024-05-01T16:35:11.530Z",
                "isCreatedByUser": True,
                "sender": "User",
                "text": "How do I activate it?",
                "children": [
                    {
                        "messageId": "y1",
                        "parentMessageId": "x1",
                        "createdAt": "2024-05-01T16:35:12.604Z",
                        "isCreatedByUser": False,
                        "model": "gpt-4-turbo",
                        "sender": "Engineer",
                        "text": "",
                        "feedback": {"rating": "thumbsUp"},
                        "content": [
                            {"type": "think", "think": "They use bash."},
                            {
                                "type": "tool_call",
                                "tool_call": {
                                    "name": "docs",
                                    "args": {"q": "venv"},
                                    "output": "source venv/bin/activate",
                                },
                            },
                            {"type": "text", "text": {"value": "Source the script."}},
                        ],
                        "children": [
                            {
                                "messageId": "x2",
                                "parentMessageId": "y1",
                                "isCreatedByUser": True,
                                "text": "thanks",
                                "children": [
                                    {"messageId": "y2", "isCreatedByUser": False, "text": "Welcome!", "children": []},
                                    {"messageId": "y3", "isCreatedByUser": False, "text": "Any time.", "children": []},
                                ],
                            }
                        ],
                    }
                ],
            }
        ],
    }
