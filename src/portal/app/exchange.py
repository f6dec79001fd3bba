"""Import and export, put together."""

from pydantic import ValidationError

from portal import __version__
from portal.app.ground import Ground
from portal.app.knowledge import Knowledge
from portal.app.memory import Mind
from portal.errors import NotFound, PortalError
from portal.exchange.exporter import Belongings, Exporter
from portal.exchange.importer import Home
from portal.exchange.jobs import ImportJobs
from portal.exchange.shape import Persona
from portal.interfaces.web.exchange import Exchange
from portal.redaction import redact, without_keys
from portal.routing.catalogue import Catalogue, fields_of
from portal.settings.workspaces import WorkspaceSettings


class Workspaces:
    """Makes workspaces of what an export has."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def bring(self, owner: str, persona: Persona, *, dry_run: bool) -> str:
        """See Personas."""
        try:
            if persona.fields is not None:
                return await self._own(owner, persona.name, persona.fields, dry_run=dry_run)
            (taken, *_) = await self._catalogue.take_over(owner, persona.content, dry_run=dry_run, again=False)
        except PortalError as error:
            return error.message.rstrip(".")
        if taken["known"]:
            return "known"
        return "new" if taken["taken"] else "; ".join(taken["notes"]) or "it cannot be read"

    async def _own(self, owner: str, name: str, fields: dict[str, object], *, dry_run: bool) -> str:
        """One of a Portal's."""
        try:
            wanted = WorkspaceSettings(**{**fields, "users": (owner,)})
        except ValidationError as error:
            return f"it cannot be read: {error.errors()[0]['msg']}"
        mine = self._catalogue.mine(owner, name)
        if mine is not None:
            same = WorkspaceSettings(**fields_of(mine)) == wanted
            return "known" if same else "you have another workspace of that name"
        if not dry_run:
            await self._catalogue.put(owner, name, wanted)
        return "new"


async def open_exchange(ground: Ground, mind: Mind, knowledge: Knowledge) -> Exchange:
    """Imports go on until the ground is closed."""
    settings, storage = ground.settings, ground.storage
    home = Home(
        arrivals=storage.arrivals,
        files=knowledge.files,
        folders=storage.folders,
        memories=storage.memories,
        remembering=mind.keeper,
        personas=Workspaces(ground.catalogue),
    )

    async def login(owner: str) -> str:
        try:
            return (await storage.users.get(owner)).login or ""
        except NotFound:
            return ""

    jobs = ImportJobs(
        imports=storage.imports,
        claims=storage.claims,
        home=home,
        bus=ground.bus,
        folder=settings.data_dir / "imports",
        largest=settings.server.max_import,
        login=login,
        alone=storage.database.dialect == "sqlite",
    )
    ground.keep_going(imports=jobs.run)
    ground.cluster.renew({"import.changed": jobs.look, "import.deleted": jobs.look})
    belongings = Belongings(
        departures=storage.departures,
        conversations=storage.conversations,
        files=knowledge.files,
        folders=storage.folders,
        memories=storage.memories,
        workspaces=storage.workspaces,
        collections=storage.collections,
        documents=storage.documents,
        schedules=storage.schedules,
        users=storage.users,
    )
    usual, discreet = (Exporter(belongings=belongings, redact=by, version=__version__) for by in (without_keys, redact))
    return Exchange(jobs=jobs, exporter=usual, discreet=discreet, conversations=storage.conversations)
