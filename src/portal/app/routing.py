"""The choice between models, put together."""

from collections.abc import Callable

from portal.app.cluster import Cluster
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.gate import Patience
from portal.core.terms import Bounding
from portal.routing.catalogue import Catalogue
from portal.routing.classifier import packaged_classifier
from portal.routing.consultant import Consultant
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.rules import Rule
from portal.routing.workspaces import Workspaces, workspace
from portal.settings import Settings
from portal.storage.open import Storage


async def open_routing(
    settings: Settings,
    storage: Storage,
    registry: Registry,
    completions: Completions,
    bus: Bus,
    bounding: Bounding,
    cluster: Cluster,
    *,
    noted: Callable[[str, bool], None],
) -> tuple[Router, Catalogue]:
    """What chooses models, and the workspaces that people make. `noted`: see Patience."""
    written = settings.workspaces.items()
    workspaces = Workspaces(workspace(name, one.model_dump(), source="settings") for name, one in written)
    router = _router(settings, registry, workspaces, completions, bounding, noted)
    catalogue = Catalogue(
        workspaces=workspaces,
        router=router,
        saved=storage.workspaces,
        completions=completions,
        on_change=lambda: bus.publish(None, "workspaces.changed"),
    )
    await catalogue.restore()
    cluster.renew({"workspaces.changed": catalogue.restore})
    return router, catalogue


def _router(
    settings: Settings,
    registry: Registry,
    workspaces: Workspaces,
    completions: Completions,
    bounding: Bounding,
    noted: Callable[[str, bool], None],
) -> Router:
    rules = [Rule(name=name, **rule.model_dump()) for name, rule in settings.rules.items()]
    asked = settings.classifier
    consultant = Consultant(registry=registry, completions=completions, model=asked.model, deadline=asked.deadline)
    return Router(
        registry=registry,
        judge=packaged_classifier if asked.enabled else None,
        consultant=consultant if asked.model else None,
        workspaces=workspaces,
        rules=sorted(rules, key=lambda rule: -rule.priority),
        default_model=settings.default_model,
        bounding=bounding,
        patience=Patience(
            retries=settings.faults.retries,
            pause=settings.faults.retry_pause,
            deadline=settings.faults.retry_deadline,
            fallbacks=settings.faults.fallbacks,
            noted=noted,
        ),
    )
