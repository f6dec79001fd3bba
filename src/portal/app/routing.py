"""The choice between models, put together."""

from collections.abc import Callable, Sequence

from portal.app.cluster import Cluster
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.gate import Patience
from portal.core.terms import Bounding
from portal.core.workspaces import Workspace
from portal.routing.catalogue import Catalogue
from portal.routing.classifier import packaged_classifier
from portal.routing.consultant import Consultant
from portal.routing.judgement import Judge
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
    workspaces = Workspaces(written(settings))
    router = _router(settings, registry, workspaces, completions, bounding, noted)
    catalogue = Catalogue(
        workspaces=workspaces,
        router=router,
        saved=storage.workspaces,
        completions=completions,
        on_change=lambda: bus.publish(None, "workspaces.changed"),
    )
    await catalogue.restore()
    if cluster is not None:
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
    judge, consultant = judging(settings, registry, completions)
    return Router(
        registry=registry,
        judge=judge,
        consultant=consultant,
        workspaces=workspaces,
        rules=rules_of(settings),
        default_model=settings.default_model,
        bounding=bounding,
        patience=patience_of(settings, noted),
    )


def written(settings: Settings) -> Sequence[Workspace]:
    """The workspaces of the settings. Raises SettingsError."""
    return [workspace(name, one.model_dump(), source="settings") for name, one in settings.workspaces.items()]


def rules_of(settings: Settings) -> Sequence[Rule]:
    """Those of the settings, in the order in which they are looked at."""
    rules = [Rule(name=name, **rule.model_dump()) for name, rule in settings.rules.items()]
    return sorted(rules, key=lambda rule: -rule.priority)


def patience_of(settings: Settings, noted: Callable[[str, bool], None]) -> Patience:
    """What goes with every route. `noted`: see Patience."""
    chosen = settings.faults
    return Patience(
        retries=chosen.retries,
        pause=chosen.retry_pause,
        deadline=chosen.retry_deadline,
        fallbacks=chosen.fallbacks,
        noted=noted,
    )


def judging(
    settings: Settings, registry: Registry, completions: Completions
) -> tuple[Callable[[], Judge] | None, Consultant | None]:
    """Who looks at what requests are about."""
    asked = settings.classifier
    consultant = Consultant(registry=registry, completions=completions, model=asked.model, deadline=asked.deadline)
    return packaged_classifier if asked.enabled else None, consultant if asked.model else None
