"""The border of a platform's code, which may be somebody else's."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from portal.core.channels import Channel
from portal.errors import ChannelRejected, PortalError

log = logging.getLogger(__name__)


@contextmanager
def border(channel: Channel) -> Iterator[None]:
    """What fails unexpectedly behind it is not tried again, and ends nothing else. Raises ChannelRejected for it."""
    try:
        yield
    except PortalError:
        raise
    except Exception as error:
        log.exception("a channel failed unexpectedly", extra={"channel": channel.name})
        raise ChannelRejected("The chat platform's part of Portal failed unexpectedly.") from error
