"""Channels, put together: those that the settings name, each imported only then."""

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

from pydantic import ValidationError

from portal.app.agent import Brain
from portal.app.ground import Ground
from portal.channels.commands import Commands
from portal.channels.conversing import Desks
from portal.channels.house import Channels
from portal.channels.linking import Linking
from portal.channels.shared import Alone, Shared
from portal.channels.spoken import Voice
from portal.core.channels import Channel, Surroundings
from portal.core.memories import Memory
from portal.core.speech import Speech
from portal.errors import PortalError, SettingsError
from portal.extras import EXTRAS, add_command
from portal.settings import Settings

log = logging.getLogger(__name__)

PLUGINS = "portal.interfaces"
"""The entry-point group of kinds that other packages bring; each names a `create(options, around)`."""

BUILT_IN: Mapping[str, Callable[[Settings], object | None]] = {
    "slack": lambda settings: settings.slack if settings.slack.bot_token.get_secret_value() else None,
    "telegram": lambda settings: settings.telegram if settings.telegram.token else None,
}
"""By kind: the part of the settings that `portal.interfaces.KIND.create` gets; None where nothing is set."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A channel that the settings name."""

    name: str
    kind: str
    config: object


def open_channels(
    ground: Ground, brain: Brain, memory: Memory, speech: Speech, given: Sequence[Channel] | None
) -> Channels:
    """For tests, `given` are used in place of those of the settings."""
    settings, storage, bus = ground.settings, ground.storage, ground.bus
    made, broken = ([*given], dict[str, str]()) if given is not None else _made(settings)

    def admit(owner: str) -> None:
        if most := ground.current.settings.limits.messages:
            ground.limiter.take(f"messages of {owner}", most)

    linking = Linking(links=storage.links, pairing=storage.pairing, bus=bus)
    desks = Desks(
        agent=brain.agent,
        linking=linking,
        commands=Commands(
            agent=brain.agent,
            chats=storage.chats,
            conversations=storage.conversations,
            models=ground.router,
            toolbox=brain.toolbox,
            memory=memory,
            linking=linking,
            bus=bus,
            health=lambda: channels.health(),
        ),
        links=storage.links,
        pairing=storage.pairing,
        chats=storage.chats,
        inbox=storage.inbox,
        outbox=storage.outbox,
        conversations=storage.conversations,
        responses=storage.responses,
        approvals=storage.approvals,
        files=storage.files,
        bus=bus,
        transcriber=speech.transcriber,
        voice=Voice(speaker=speech.speaker, replies=settings.speech.replies),
        model=settings.channels.model,
        mode=settings.channels.groups,
        admit=admit,
    )
    channels = Channels(channels=made, broken=broken, desks=desks, supervisor=ground.supervisor, shared=_shared(ground))
    return channels


def _shared(ground: Ground) -> Alone:
    cluster = ground.cluster
    if cluster.notices is None or cluster.questions is None:
        return Alone()
    return Shared(duty=cluster.duty, notices=cluster.notices, questions=cluster.questions)


def _made(settings: Settings) -> tuple[list[Channel], dict[str, str]]:
    """The channels, and why some could not be made."""
    made: list[Channel] = []
    broken: dict[str, str] = {}
    for wanted in _wanted(settings):
        if any(channel.name == wanted.name for channel in made):
            log.warning("there are two channels called %s: the second one is left out", wanted.name)
            continue
        base = settings.channels.public_url.rstrip("/")
        around = Surroundings(name=wanted.name, public_url=f"{base}/channels/{wanted.name}" if base else "")
        try:
            made.append(_create(wanted.kind)(wanted.config, around))
        except ModuleNotFoundError as error:
            broken[wanted.name] = _missing(wanted.kind, error)
        except KeyError as error:
            broken[wanted.name] = f"It needs the option {error}."
        except ValidationError as error:  # whose own words show what was given, and that may be a secret
            wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False))
            broken[wanted.name] = "; ".join(wrong)
        except (PortalError, ValueError) as error:
            broken[wanted.name] = str(error)
        except Exception:  # the border of somebody else's code
            log.exception("a channel could not be made", extra={"channel": wanted.name})
            broken[wanted.name] = "It failed unexpectedly; the log has the details."
    for name, why in broken.items():
        log.warning("the channel %s is not there: %s", name, why)
    return made, broken


def _missing(kind: str, error: ModuleNotFoundError) -> str:
    way = f"add it with `{add_command(kind)}`" if kind in EXTRAS else "the package of that channel names it"
    return f"It needs a package that is not installed ({error.name}): {way}."


def _wanted(settings: Settings) -> Iterator[Wanted]:
    for kind, section in BUILT_IN.items():
        config = section(settings)
        if config is not None:
            yield Wanted(kind, kind, config)
    for name, interface in settings.channels.interfaces.items():
        yield Wanted(name, interface.kind, {key: value.get_secret_value() for key, value in interface.options.items()})


def _create(kind: str) -> Callable[[object, Surroundings], Channel]:
    if kind in BUILT_IN:
        create: Callable[[object, Surroundings], Channel] = importlib.import_module(f"portal.interfaces.{kind}").create
        return create
    for plugin in entry_points(group=PLUGINS, name=kind):
        loaded: Callable[[object, Surroundings], Channel] = plugin.load()
        return loaded
    raise SettingsError(f"There is no kind of channel called {kind!r}. Known kinds: {', '.join(kinds()) or 'none'}.")


def kinds() -> Sequence[str]:
    """All that there are."""
    return [*BUILT_IN, *sorted(plugin.name for plugin in entry_points(group=PLUGINS))]
