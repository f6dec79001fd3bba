"""Channels from the shell."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator

import pytest
from tests.cli.conftest import Installation

from portal.cli.server_file import ServerFile
from portal.core.channels import Limits, Message, Place, Sender
from portal.storage.data_folder import lock_data_folder
from portal.testing.channel import PlatformState, TestChannel
from portal.testing.portal import open_test_portal

QUICK = Limits(interval=0.01, per_second=10_000, typing=0)


class OpenedChannel(TestChannel):
    """It implements Invites as well."""

    def invitation(self, code: str) -> str:
        """See Invites."""
        return f"https://chat.example/?start={code}"


@pytest.fixture
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


@pytest.fixture
def platform() -> PlatformState:
    return PlatformState()


@pytest.fixture
def shared(
    tmp_path_factory: pytest.TempPathFactory, platform: PlatformState, loop: asyncio.AbstractEventLoop
) -> Iterator[Installation]:
    """A server with a platform in memory, in a thread, as commands find any other."""
    home = tmp_path_factory.mktemp("shared")
    made = Installation(data_dir=home / "data", home=home)
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        channel = OpenedChannel(platform, limits=QUICK)
        async with open_test_portal(made.data_dir, channels=[channel]) as running:
            file = ServerFile(
                pid=os.getpid(), url=running.url, token=running.portal.local_token, started_at=0, version="0"
            )
            with lock_data_folder(made.data_dir, f"Portal (process {os.getpid()})"):
                file.write(made.data_dir)
                ready.set()
                await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    yield made
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


def deliver(platform: PlatformState, loop: asyncio.AbstractEventLoop, text: str, sender: str) -> None:
    place = Place(channel="test", chat=sender)
    message = Message(event_id=text, id=text, text=text, place=place, sender=Sender(id=sender, name=sender.title()))

    async def told() -> None:
        platform.deliver(message)
        await platform.until(lambda: bool(platform.texts(sender)))

    asyncio.run_coroutine_threadsafe(told(), loop).result(60)


def test_from_a_code_to_unlinking(
    shared: Installation, platform: PlatformState, loop: asyncio.AbstractEventLoop
) -> None:
    made = shared.run("channels", "link", "--qr")
    command, address, *drawn = made.stdout.splitlines()
    assert address == f"test\thttps://chat.example/?start={command.removeprefix('/link ')}"
    assert len(drawn) > 10
    assert "once" in made.stderr
    deliver(platform, loop, command, "alice")
    deliver(platform, loop, "Hello", "bob")
    deliver(platform, loop, "Hi", "eve")
    state, linked, *asking = (line.split("\t") for line in shared.run("channels", "status").stdout.splitlines())
    assert state == ["test", "up"]
    assert "ok   Channel test is up\n" in shared.run("doctor").stdout
    assert linked[1:] == ["linked", "test", "Alice"]
    assert sorted(line[1:] for line in asking) == [["asks", "test", "Bob (bob)"], ["asks", "test", "Eve (eve)"]]
    bob, eve = (next(line[0] for line in asking if name in line[3]) for name in ("Bob", "Eve"))
    assert shared.run("channels", "pair", bob[-8:]).stdout == "approved\ttest\tBob (bob)\n"
    assert shared.run("channels", "pair", eve, "--refuse").stdout == "refused\ttest\tEve (eve)\n"
    assert shared.run("channels", "unlink", linked[0]).stdout == "unlinked\ttest\tAlice\n"
    gone = shared.run("channels", "unlink", linked[0])
    assert (gone.returncode, "There is no linked account" in gone.stderr) == (1, True)
    deliver(platform, loop, "Hey", "dan")
    deliver(platform, loop, "Hey there", "ann")
    several = shared.run("channels", "pair", "")
    assert (several.returncode, "Several end in" in several.stderr) == (1, True)


def test_without_a_channel_it_says_where_to_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("none")
    made = Installation(data_dir=home / "data", home=home)
    server = made.up()
    told = made.run("channels", "status")
    assert "manual" in told.stderr
    code = made.run("channels", "link")
    assert (code.returncode, code.stdout, "manual" in code.stderr) == (1, "", True)
    server.stop()


def test_the_manifest_of_slack_is_printed(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("slack")
    made = Installation(data_dir=home / "data", home=home)
    assert json.loads(made.run("channels", "manifest", "slack").stdout)["settings"]["socket_mode_enabled"]
    refused = made.run("channels", "manifest", "slack", "--http")
    assert (refused.returncode, "channels.public_url" in refused.stderr) == (1, True)
    told = made.run("channels", "manifest", "slack", "--http", PORTAL_CHANNELS__PUBLIC_URL="https://portal.example/")
    events = json.loads(told.stdout)["settings"]["event_subscriptions"]
    assert events["request_url"] == "https://portal.example/channels/slack"
