"""Open the storage that the settings name: the stores, on one database."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType

from portal.core import backlog as core_backlog
from portal.core import channel_stores, exchange, journal, memories, ports, sharing, tool_ports
from portal.core import consumption as core_consumption
from portal.core import people as core_people
from portal.core.clock import micros
from portal.core.key_values import KeyValues
from portal.core.supervisor import Supervisor
from portal.settings import Settings
from portal.settings.backup import RetentionSettings
from portal.storage.approvals import StoredApprovals
from portal.storage.arrivals import StoredArrivals
from portal.storage.audit import StoredAudit, chain_older
from portal.storage.backlog import StoredBacklog
from portal.storage.calls import StoredCallLog
from portal.storage.channel_mail import StoredInbox, StoredOutbox
from portal.storage.channels import StoredChats, StoredLinks, StoredPairing
from portal.storage.claims import StoredClaims
from portal.storage.cleaning import Cleaning
from portal.storage.collections import StoredBatches, StoredCollections
from portal.storage.consumption import StoredConsumption
from portal.storage.conversations import StoredConversations
from portal.storage.database import Database
from portal.storage.departures import StoredDepartures
from portal.storage.documents import StoredDocuments
from portal.storage.fence import Fence
from portal.storage.files import StoredFiles
from portal.storage.folders import StoredFolders
from portal.storage.grants import StoredGrants
from portal.storage.imports import StoredImports
from portal.storage.journal import StoredNotes
from portal.storage.key_values import StoredKeyValues
from portal.storage.leaving import Leaving
from portal.storage.media_jobs import StoredMediaJobs
from portal.storage.memories import StoredMemories
from portal.storage.moving import check_whole
from portal.storage.oauth import StoredClients, StoredRefreshes
from portal.storage.opening import contents_of, open_database
from portal.storage.passage_index import index_on
from portal.storage.passages import StoredPassages
from portal.storage.pending import StoredPending
from portal.storage.people import StoredPasswords, StoredPeople
from portal.storage.reading_queue import StoredReadingQueue
from portal.storage.responses import StoredResponses
from portal.storage.retention import forget_old
from portal.storage.schedule_runs import StoredRuns
from portal.storage.schedules import StoredSchedules
from portal.storage.search import Search
from portal.storage.shares import StoredShares
from portal.storage.sign_in import StoredIdentities, StoredPasskeys
from portal.storage.sources import StoredSources
from portal.storage.timed import TimedDatabase
from portal.storage.traces import StoredTraces
from portal.storage.turn_log import StoredTurnLog
from portal.storage.turn_passages import TurnPassages
from portal.storage.usage import StoredUsageLog
from portal.storage.users import StoredUsers
from portal.storage.workspaces import StoredWorkspaces

EXISTS = "SELECT 1 FROM conversations WHERE id = :id UNION ALL SELECT 1 FROM responses WHERE id = :id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """All stores; usable while the context of `open_storage` lasts."""

    database: Database
    fence: Fence
    """As whom this process writes; set once it is one of several servers."""
    turn_log: ports.TurnLog
    responses: ports.Responses
    conversations: ports.Conversations
    folders: ports.Folders
    files: StoredFiles
    users: StoredUsers
    people: StoredPeople
    passwords: core_people.Passwords
    passkeys: core_people.Passkeys
    identities: core_people.Identities
    clients: StoredClients
    refreshes: StoredRefreshes
    shares: sharing.Shares
    usage: ports.UsageLog
    spending: ports.Spending
    traces: StoredTraces
    consumption: core_consumption.Consumption
    workspaces: ports.SavedWorkspaces
    key_values: KeyValues
    call_log: tool_ports.CallLog
    approvals: tool_ports.Approvals
    grants: tool_ports.Grants
    audit: tool_ports.Audit
    passages: StoredPassages
    cleaning: Cleaning
    turns: TurnPassages
    memories: memories.Memories
    collections: StoredCollections
    documents: StoredDocuments
    batches: StoredBatches
    sources: StoredSources
    reading_queue: StoredReadingQueue
    media_jobs: StoredMediaJobs
    schedules: StoredSchedules
    runs: StoredRuns
    links: channel_stores.Links
    pairing: channel_stores.Pairing
    chats: channel_stores.Chats
    inbox: StoredInbox
    outbox: StoredOutbox
    backlog: core_backlog.Backlog
    imports: exchange.Imports
    claims: exchange.Claims
    arrivals: exchange.Arrivals
    departures: exchange.Departures
    notes: journal.Notes

    async def look(self) -> None:
        """Raises StorageError where the database does not answer, or takes no changes."""
        if isinstance(self.database, TimedDatabase):
            await self.database.look()

    async def sweep(self) -> None:
        """For a server, when it starts and now and then: forget what nobody can reach any more (what broken uploads
        left, what has expired)."""
        await self.users.sweep()
        await self.people.sweep()
        await self.refreshes.sweep()
        await self.files.sweep()
        await self.documents.sweep()
        await self.inbox.sweep()
        await self.outbox.sweep()
        await StoredPending(database=self.database).sweep(micros())

    async def forget_old(self, wanted: RetentionSettings) -> None:
        """What grew older than the settings want. Raises StorageError."""
        await forget_old(
            wanted,
            database=self.database,
            responses=self.responses,
            audit=StoredAudit(database=self.database),
        )

    async def exists(self, identity: str) -> bool:
        """Whether there is a conversation, deleted ones that can come back included, or a response of this id."""
        return bool(await self.database.fetch(EXISTS, id=identity))


def open_storage(
    settings: Settings, supervisor: Supervisor | None = None, *, stored: Callable[[float], None] | None = None
) -> AbstractAsyncContextManager[Storage]:
    """The stores on SQLite in the data folder, or on PostgreSQL where `database` says so, migrated if need be.
    `stored` is told of each batch of writes how many seconds it took.

    `supervisor` keeps what goes on beside the stores.

    Entering raises:
        DatabaseTooNew, DatabaseUnreadable: nothing was touched.
        SettingsError: `database` is not usable.
        StorageError: the database does not answer, or could not be upgraded and is as it was.
    """
    return _Opening(settings, supervisor or Supervisor(), stored)


class _Opening(AbstractAsyncContextManager[Storage]):
    def __init__(self, settings: Settings, supervisor: Supervisor, stored: Callable[[float], None] | None) -> None:
        self._settings, self._supervisor, self._stored = settings, supervisor, stored
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Storage:
        async with AsyncExitStack() as stack:
            storage = await _build(self._settings, stack, self._supervisor, self._stored)
            self._stack = stack.pop_all()
        return storage

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return bool(await self._stack.__aexit__(kind, error, traceback))


async def _build(
    settings: Settings, stack: AsyncExitStack, supervisor: Supervisor, stored: Callable[[float], None] | None
) -> Storage:
    tasks = await asyncio.TaskGroup().__aenter__()
    # Not told about errors of the caller's block, which it would wrap: by then its tasks are at their end.
    stack.push_async_callback(tasks.__aexit__, None, None, None)
    database, search = await open_database(settings, stack, tasks)
    await check_whole(database)
    index = index_on(database, settings.database)
    database = database if stored is None else TimedDatabase(database, stored)
    await chain_older(database)
    usage = StoredUsageLog(database=database)
    stack.push_async_callback(supervisor.end, supervisor.keep("usage", usage.run))
    stack.push_async_callback(usage.aclose)
    cleaning = Cleaning(database=database, index=index)
    passages = StoredPassages(database=database, index=index, cleaning=cleaning)
    stack.push_async_callback(cleaning.finish)
    kept = [supervisor.keep("passages", passages.run), supervisor.keep("cleaning", cleaning.run)]
    stack.push_async_callback(supervisor.end, *kept)
    return _stores(settings, database, search, usage, passages, cleaning)


def _files(settings: Settings, database: Database, cleaning: Cleaning) -> StoredFiles:
    chosen = settings.files
    return StoredFiles(
        database=database,
        cleaning=cleaning,
        quota=chosen.quota,
        keep_days=chosen.keep_days,
        contents=contents_of(chosen),
        elsewhere=chosen.store == "s3",
    )


def _stores(
    settings: Settings,
    database: Database,
    search: Search,
    usage: StoredUsageLog,
    passages: StoredPassages,
    cleaning: Cleaning,
) -> Storage:
    turns, files = TurnPassages(database=database, index=passages), _files(settings, database, cleaning)
    leaving, fence = Leaving(passages=passages, search=search), Fence()
    return Storage(
        database=database,
        fence=fence,
        turn_log=StoredTurnLog(database=database, search=search, turns=turns, fence=fence),
        responses=StoredResponses(database=database, search=search, turns=turns),
        conversations=StoredConversations(database=database, search=search, turns=turns),
        folders=StoredFolders(database=database, turns=turns),
        files=files,
        users=StoredUsers(database=database),
        people=StoredPeople(database=database, leaving=leaving, passages=passages, files=files),
        passwords=StoredPasswords(database=database),
        passkeys=StoredPasskeys(database=database),
        identities=StoredIdentities(database=database),
        clients=StoredClients(database=database),
        refreshes=StoredRefreshes(database=database),
        shares=StoredShares(database=database),
        usage=usage,
        spending=usage,
        traces=StoredTraces(database=database),
        consumption=StoredConsumption(database=database, written=usage.write),
        workspaces=StoredWorkspaces(database=database),
        key_values=StoredKeyValues(database=database),
        call_log=StoredCallLog(database=database, search=search, fence=fence),
        approvals=StoredApprovals(database=database),
        grants=StoredGrants(database=database),
        audit=StoredAudit(database=database),
        passages=passages,
        cleaning=cleaning,
        turns=turns,
        memories=StoredMemories(database=database, index=passages),
        collections=StoredCollections(database=database, cleaning=cleaning),
        documents=StoredDocuments(database=database, passages=passages),
        batches=StoredBatches(database=database),
        sources=StoredSources(database=database, passages=passages),
        reading_queue=StoredReadingQueue(database=database, passages=passages),
        media_jobs=StoredMediaJobs(database=database),
        schedules=StoredSchedules(database=database),
        runs=StoredRuns(database=database, fence=fence),
        links=StoredLinks(database=database),
        pairing=StoredPairing(database=database),
        chats=StoredChats(database=database),
        inbox=StoredInbox(database=database, fence=fence),
        outbox=StoredOutbox(database=database, fence=fence),
        backlog=StoredBacklog(database=database),
        imports=StoredImports(database=database),
        claims=StoredClaims(database=database, fence=fence),
        arrivals=StoredArrivals(database=database, search=search, turns=turns),
        departures=StoredDepartures(database=database),
        notes=StoredNotes(database=database),
    )
