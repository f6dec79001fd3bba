import asyncio

import pytest

from portal.interfaces.openai.relay import Watch
from portal.interfaces.wire import COMMENT, Alive, ClientGone, EventStream, header_value, read_body, while_there


def test_the_end_of_a_stream_is_read_whatever_its_pieces():
    whole = b'data: {"a":1}\n\ndata: {"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n'
    for size in (1, 7, len(whole)):
        watch = Watch()
        for start in range(0, len(whole), size):
            watch.feed(whole[start : start + size])
        done, events = watch.last()
        assert done
        assert [list(event) for event in events] == [["usage"], ["a"]]


def test_an_event_that_is_cut_is_left_out():
    watch = Watch()
    watch.feed(b'data: {"a":1}\n\ndata: {"b":')
    assert watch.last() == (False, [{"a": 1}])


def test_a_header_is_one_line_of_latin_1():
    assert header_value("a\r\nb  \u4e2d\u00e9") == "a b ?\u00e9"


async def test_silence_is_filled_with_comments():
    sent, commented = [], asyncio.Event()

    async def frames():
        yield b"data: 1\n\n"
        await commented.wait()
        yield b"data: 2\n\n"

    async def send(message):
        sent.append(message)
        if message.get("body", b"").startswith(b":"):
            commented.set()

    stream = EventStream(frames(), headers={}, on_gone=lambda: None, keep_alive=0.01)
    await stream({}, asyncio.Event().wait, send)
    bodies = [message["body"] for message in sent[1:]]
    assert bodies[0] == b"data: 1\n\n"
    assert set(bodies[1:-2]) == {b": keep-alive\n\n"}
    assert bodies[-2:] == [b"data: 2\n\n", b""]


def receiving(*messages):
    queue = asyncio.Queue()
    for message in messages:
        queue.put_nowait(message)
    return queue.get


async def test_a_body_in_pieces():
    first = {"type": "http.request", "body": b"a", "more_body": True}
    assert await read_body(receiving(first, {"type": "http.request", "body": b"b"})) == b"ab"


async def test_a_client_that_leaves_in_the_middle_of_its_body():
    first = {"type": "http.request", "body": b"a", "more_body": True}
    with pytest.raises(ClientGone):
        await read_body(receiving(first, {"type": "http.disconnect"}))


async def test_only_a_disconnect_means_that_the_client_left():
    done = asyncio.Event()

    async def work():
        await done.wait()
        return 1

    receive = receiving({"type": "http.request", "body": b""})

    async def watched():
        message = await receive()
        done.set()
        return message

    assert await while_there(watched, work()) == 1


async def test_an_error_of_the_work_comes_out_as_it_is():
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(failing())

    async def failing():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await while_there(asyncio.Event().wait, work())


def test_no_control_character_gets_into_a_header() -> None:
    assert header_value("a\x1b[31mb\x00c\x7f d\r\ne") == "a?[31mb?c? d e"


async def test_nothing_is_added_while_a_client_does_not_take_what_was_sent():
    sent, free = [], asyncio.Event()

    async def send(message):
        await free.wait()
        sent.append(message["body"])

    alive = Alive(send, COMMENT, 0.01)
    rest = alive.push(b"data: 1\n\n")
    assert rest is not None
    await asyncio.sleep(0.1)
    free.set()
    await rest
    assert alive.push(b"data: {") is None
    await asyncio.sleep(0.1)
    alive.end()
    assert sent == [b"data: 1\n\n", b"data: {"]
