"""Updates of every shape as events."""

import logging
from typing import Any

import pytest

from portal.core.channels import Message, Press, Reaction
from portal.interfaces.telegram.incoming import Bot, Reader

READER = Reader("telegram", Bot(7, "my_bot"))
ANN = {"id": 5, "is_bot": False, "first_name": "Ann", "last_name": "Lee"}
PRIVATE = {"id": 5, "type": "private", "first_name": "Ann"}
GROUP = {"id": -9, "type": "supergroup", "title": "Team"}


def message(kind: str = "message", **fields: Any) -> dict[str, Any]:
    base = {"message_id": 3, "date": 1, "chat": PRIVATE, "from": ANN}
    return {"update_id": 11, kind: {**base, **fields}}


def read(update: dict[str, Any]) -> Any:
    events = list(READER.events([update]))
    return events[0] if events else None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": " hi "}, "hi"),
        ({"text": "/start AB-12"}, "/link AB-12"),
        ({"text": "/start"}, "/start"),
        ({"text": "/new@my_bot"}, "/new"),
        ({"sticker": {"emoji": "😀", "file_id": "s"}}, "😀"),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
        ({"contact": {"first_name": "Bob", "phone_number": "123"}}, "Contact: Bob, 123"),
        ({"poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]}}, "Poll: Tea?\n- yes\n- no"),
        ({"checklist": {"title": "Shop", "tasks": [{"id": 1, "text": "milk"}]}}, "Checklist: Shop\n- milk"),
        ({"story": {"chat": PRIVATE, "id": 1}}, "(A story, which bots cannot see.)"),
        ({"location": {"latitude": 1.5, "longitude": 2}}, "Location: 1.5, 2"),
        ({"location": {"latitude": 1, "longitude": 2}, "venue": {"title": "Pub"}}, "Location: Pub, 1, 2"),
    ],
)
def test_what_is_said(fields: dict[str, Any], text: str) -> None:
    event = read(message(**fields))
    assert isinstance(event, Message)
    assert (event.text, event.addressed, event.sender.name, event.place.chat) == (text, True, "Ann Lee", "5")


@pytest.mark.parametrize(
    "update",
    [
        message(new_chat_title="x"),
        message(text="/new@other_bot", chat=GROUP),
        message(**{"from": {"id": 8, "is_bot": True, "first_name": "B"}, "text": "x"}),
        {"update_id": 1, "message": {"message_id": 1, "chat": GROUP, "text": "from nobody"}},
        message("edited_message", location={"latitude": 1, "longitude": 2}),
        {"update_id": 1, "callback_query": {"id": "q", "from": ANN, "game_short_name": "g"}},
        {"update_id": 1, "message_reaction": {"chat": GROUP, "message_id": 4, "new_reaction": []}},
        {"update_id": 1, "something_new": {}},
    ],
)
def test_what_concerns_nobody(update: dict[str, Any]) -> None:
    assert read(update) is None


def test_what_has_a_shape_that_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = list(READER.events([message(chat={"id": 5}, text="x"), message(text="good")]))
    assert [event.text for event in found if isinstance(event, Message)] == ["good"]
    assert "shape" in caplog.text


@pytest.mark.parametrize(
    ("fields", "kind", "voice", "name"),
    [
        (
            {"photo": [{"file_id": "s", "width": 1, "height": 1}, {"file_id": "l", "width": 9, "height": 9}]},
            "image",
            False,
            "photo-3.jpg",
        ),
        ({"voice": {"file_id": "v"}}, "audio", True, "voice.ogg"),
        ({"video_note": {"file_id": "v"}}, "video", True, "video-note.mp4"),
        ({"audio": {"file_id": "a", "file_name": "s.mp3"}}, "audio", False, "s.mp3"),
        ({"animation": {"file_id": "a"}, "document": {"file_id": "a"}}, "video", False, "animation.mp4"),
        ({"document": {"file_id": "d", "file_name": "x.png", "mime_type": "image/png"}}, "image", False, "x.png"),
        ({"document": {"file_id": "d", "mime_type": "audio/flac"}}, "audio", False, "document"),
        ({"document": {"file_id": "d", "mime_type": "video/webm"}}, "video", False, "document"),
        ({"document": {"file_id": "d", "mime_type": "image/svg+xml", "file_size": 9}}, "file", False, "document"),
    ],
)
def test_files(fields: dict[str, Any], kind: str, voice: bool, name: str) -> None:
    event = read(message(**fields))
    (file,) = event.files
    assert (file.kind, file.voice, file.name) == (kind, voice, name)
    if "photo" in fields:
        assert file.ref == "l"


def test_who_is_spoken_to_in_a_group() -> None:
    def addressed(**fields: Any) -> tuple[bool, str]:
        event = read(message(chat=GROUP, **fields))
        return event.addressed, event.text

    assert addressed(text="hello all") == (False, "hello all")
    assert addressed(text="Hey @My_Bot, what now?") == (True, "Hey what now?")
    mention = [{"type": "text_mention", "offset": 0, "length": 6, "user": {"id": 7}}]
    assert addressed(text="Portal what now?", entities=mention) == (True, "Portal what now?")
    mine = {"message_id": 2, "from": {"id": 7, "is_bot": True}, "text": "an answer"}
    assert addressed(text="and?", reply_to_message=mine) == (True, "and?")
    theirs = {"message_id": 2, "from": ANN, "text": "line\nline"}
    assert addressed(text="@my_bot why?", reply_to_message=theirs) == (True, "> line\n> line\n\nwhy?")
    root = {"message_id": 2, "from": {"id": 7}, "forum_topic_created": {"name": "Topic"}}
    event = read(message(chat=GROUP, text="x", reply_to_message=root, message_thread_id=2, is_topic_message=True))
    assert (event.addressed, event.place.thread, event.place.title, event.replies_to) == (False, "2", "Team", "")


def test_albums_are_joined_and_others_are_not() -> None:
    def part(number: int, album: str, caption: str = "") -> dict[str, Any]:
        made = message(media_group_id=album, document={"file_id": f"f{number}"}, caption=caption)
        return {**made, "update_id": number}

    updates = [part(1, "a", "one"), part(2, "b"), message(text="between"), part(4, "a", "two"), part(5, "b")]
    found = [event for event in READER.events(updates) if isinstance(event, Message)]
    assert [(event.event_id, len(event.files), event.text) for event in found] == [
        ("7:1", 2, "one\ntwo"),
        ("7:2", 2, ""),
        ("7:11", 0, "between"),
    ]


def test_buttons_and_reactions() -> None:
    shown = {"message_id": 4, "chat": GROUP, "date": 0}
    press = read({"update_id": 2, "callback_query": {"id": "q", "from": ANN, "message": shown, "data": "stop:r"}})
    assert isinstance(press, Press)
    assert (press.data, press.message_id, press.place.direct) == ("stop:r", "4", False)
    for emoji, rating in (("👍", 1), ("👎", -1), ("🤔", 0)):
        given = [{"type": "emoji", "emoji": emoji}]
        reaction = {"chat": PRIVATE, "message_id": 4, "user": ANN, "new_reaction": given}
        event = read({"update_id": 2, "message_reaction": reaction})
        assert isinstance(event, Reaction)
        assert event.rating == rating
    stopped = read({"update_id": 2, "stopped_message_generation": {"chat": PRIVATE, "draft_id": 1}})
    assert (stopped.text, stopped.sender.id) == ("/stop", "5")
