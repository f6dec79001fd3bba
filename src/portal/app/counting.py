"""What model calls cost, as it is kept and counted."""

from collections.abc import Mapping

from portal.observability.metrics import Metrics
from portal.routing.pace import WatchedCalls
from portal.routing.registry import Registry
from portal.storage.open import Storage


def counted(storage: Storage, registry: Registry) -> Metrics:
    """The usage log, and before it whoever learns from calls and counts them."""
    return Metrics(log=WatchedCalls(storage.usage, registry.called), backends=lambda: _answering(registry))


def _answering(registry: Registry) -> Mapping[str, bool]:
    """Which model servers answer, of those that are there; usual places where nobody was ever found are not."""
    known = (one for one in registry.status() if one.status != "waiting" or one.models)
    return {one.name: one.status == "up" or one.models > 0 for one in known}
