"""Portal's exception tree. Callers catch these, never a library's.

PortalError
├── BadRequest                 400  the request cannot be understood or is not allowed
├── Unauthenticated            401  no key, or one that is not known
├── Forbidden                  403  known, but not entitled
├── NotFound                   404  no such object for this owner
│   └── ModelNotFound          404  carries the nearest names
├── Conflict                   409  the object changed or is in use
├── TooLarge                   413  a body or file over the limit
├── RateLimited                429  carries retry_after
├── BackendError               502  a model server failed
│   ├── BackendRejected        4xx  it refused the request; carries its status
│   ├── BackendKeyRefused      502  it does not accept the key that Portal has for it
│   ├── BackendProtocolError   502  it answered something that is not its protocol
│   ├── BackendInterrupted     502  the stream ended before it was finished
│   ├── BackendUnavailable     503  it cannot be reached
│   └── BackendTimeout         504  it did not answer in time
├── ChannelError               502  a chat platform failed; nothing was sent
│   ├── ChannelRefused         502  it does not accept the token
│   ├── ChannelTaken           502  another program receives for the same bot
│   ├── ChannelGone            502  the chat cannot be written to any more
│   ├── ChannelRejected        502  it does not take this message or edit
│   └── ChannelUncertain       504  no answer came: it may have been carried out
├── MediaError                 502  a picture, video or piece of music could not be made
│   ├── MediaRefused           400  the engine does not take the workflow or an input
│   ├── MediaMissing           503  a model or node is not installed; names it and where to get it
│   └── MediaUnavailable       503  no engine is there, or it cannot be reached
├── ToolError                  502  a tool could not do it; a model is told
├── NotInstalled               501  this needs a package that is not installed
├── NoModel                    503  nothing is installed that can answer
├── Stopping                   503  Portal is stopping and takes no more work; carries retry_after
├── StorageError               500  the database failed
│   ├── StorageFull            507  the disk is full
│   ├── StorageUnavailable     503  the database or the file store cannot be reached now; carries retry_after
│   │   └── StorageReadOnly    503  the database can be read, and takes no changes now
│   ├── DatabaseTooNew         500  written by a newer Portal; nothing was touched
│   ├── DatabaseUnreadable     500  not a database of ours, damaged, or not readable
│   │   └── IndexDamaged       500  only an index of words is, which can be made anew
│   ├── BackupUnusable         500  cut short, changed, too new, or under another password
│   ├── DataFolderBusy         500  another server owns the data folder or the database
│   └── TakenOver              503  another server does by now what this one did; nothing was stored
└── SettingsError              500  a setting is wrong; names it
"""

import errno
from collections.abc import Sequence

from portal.redaction import redact


class PortalError(Exception):
    """Root of the tree: what went wrong, as data an interface can render in its own error format."""

    status = 500
    type = "server_error"
    code: str | None = None
    quotes = False
    """Its message holds words of others, who may repeat what was asked or answered."""
    foreign = False
    """It is of a server of others, whose words may repeat a key that it was sent: such are taken out of its message."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """`retry_after` is in seconds; `param` names the request field at fault."""
        self.message = redact(message) if self.foreign else message
        super().__init__(self.message)
        self.param = param
        self.retry_after = retry_after
        if code is not None:
            self.code = code

    @property
    def lasting(self) -> str:
        """What may be kept of it where no text is: its code and status, if its message may repeat any."""
        return f"{self.code or self.type}, {self.status}" if self.quotes or self.status < 500 else self.message


class BadRequest(PortalError):
    """The request cannot be understood, or asks for something that is not allowed."""

    status = 400
    type = "invalid_request_error"


class Unauthenticated(PortalError):
    """No credential, or one that is not known, expired or revoked."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class Forbidden(PortalError):
    """The caller is known but not entitled."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotFound(PortalError):
    """No such object, or none that this owner may see."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """No backend reports this model; `nearest` are the closest names that exist."""

    code = "model_not_found"

    def __init__(self, model: str, nearest: Sequence[str] = ()) -> None:
        hint = f" Did you mean {', '.join(repr(name) for name in nearest)}?" if nearest else ""
        super().__init__(f"The model {model!r} does not exist.{hint}", param="model")
        self.model = model
        self.nearest = tuple(nearest)


class Conflict(PortalError):
    """The object changed meanwhile, exists already, or is in use."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class TooLarge(PortalError):
    """A body or file is over the limit."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class RateLimited(PortalError):
    """Too many requests; try again after `retry_after` seconds."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class BackendError(PortalError):
    """A model server failed."""

    status = 502
    type = "server_error"
    code = "backend_error"
    quotes = True
    foreign = True


class BackendRejected(BackendError):
    """A model server refused the request with a 4xx; that status is passed on."""

    type = "invalid_request_error"
    code = "backend_rejected"

    def __init__(self, message: str, *, status: int, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code, param=param)
        self.status = status


class BackendKeyRefused(BackendError):
    """A model server does not accept Portal's key or account: neither the client's fault nor a passing one."""

    quotes = False
    STATUSES = frozenset({401, 402, 403, 407})
    """What such a server answers."""

    @classmethod
    def of(cls, who: str, status: int) -> "BackendKeyRefused":
        """For one of those statuses. What the server says is left out: some repeat the key."""
        why = "says that there is no credit left for Portal's key" if status == 402 else "did not accept Portal's key"
        return cls(f"{who} {why} ({status}).")


class BackendProtocolError(BackendError):
    """A model server answered something that is not its protocol."""

    code = "backend_protocol_error"


class BackendInterrupted(BackendError):
    """A model server's stream ended before it said that it was finished."""

    code = "backend_interrupted"
    quotes = False


class BackendUnavailable(BackendError):
    """A model server cannot be reached, or answered 5xx or 429."""

    status = 503
    code = "backend_unavailable"
    quotes = False


class BackendTimeout(BackendError):
    """A model server did not answer in time."""

    status = 504
    code = "backend_timeout"
    quotes = False


class ChannelError(PortalError):
    """A chat platform failed, or cannot be reached; nothing was sent, and it may be tried again."""

    status = 502
    code = "channel_error"
    foreign = True


class ChannelRefused(ChannelError):
    """A chat platform does not accept the token."""

    code = "channel_refused"


class ChannelTaken(ChannelError):
    """Another program receives for the same bot."""

    code = "channel_taken"


class ChannelGone(ChannelError):
    """A chat cannot be written to any more: blocked, left or deleted."""

    code = "channel_gone"


class ChannelRejected(ChannelError):
    """A chat platform does not take this message, or the message cannot be edited."""

    code = "channel_rejected"


class ChannelUncertain(ChannelError):
    """No answer came to a call: it may have been carried out."""

    status = 504
    code = "channel_uncertain"


class MediaError(PortalError):
    """A picture, video or piece of music could not be made; the code says of what kind the failure is."""

    status = 502
    code = "media_error"
    foreign = True


class MediaRefused(MediaError):
    """An engine does not take the workflow, or an input of it."""

    status = 400
    type = "invalid_request_error"
    code = "workflow_refused"


class MediaMissing(MediaError):
    """A model or node that a workflow needs is not installed; the message names it and where to get it."""

    status = 503
    code = "model_missing"


class MediaUnavailable(MediaError):
    """No engine is there for this, or it cannot be reached."""

    status = 503
    code = "engine_unavailable"


class ToolError(PortalError):
    """A tool could not do what it was asked; the message is for the model, and says what to do instead."""

    status = 502
    code = "tool_error"


class NotInstalled(PortalError):
    """This needs an optional package; the message says which."""

    status = 501
    code = "not_installed"


class NoModel(PortalError):
    """Nothing is installed that can answer this request."""

    status = 503
    code = "no_model"


class Stopping(PortalError):
    """Portal is stopping: what runs is finished, nothing more is begun."""

    status = 503
    code = "stopping"

    def __init__(self) -> None:
        super().__init__("Portal is stopping. Try again in a moment.", retry_after=5)


class StorageError(PortalError):
    """The database failed; nothing of the batch was stored."""

    code = "storage_error"


class StorageFull(StorageError):
    """The disk that holds the data folder is full."""

    status = 507
    code = "storage_full"


class StorageUnavailable(StorageError):
    """The database, or the store of files, cannot be reached or written to at present; nothing was stored."""

    status = 503
    code = "storage_unavailable"

    def __init__(self, message: str, *, retry_after: float | None = 5) -> None:
        super().__init__(message, retry_after=retry_after)


class StorageReadOnly(StorageUnavailable):
    """The database can be read, and takes no changes at present."""

    def __init__(self) -> None:
        super().__init__(
            "The database takes no changes at present: it is read-only, as a standby is. Nothing was stored."
        )


class DatabaseTooNew(StorageError):
    """The database was written by a newer Portal; it was not touched."""

    code = "database_too_new"


class DatabaseUnreadable(StorageError):
    """The database is damaged, not ours, or not readable; it was not touched."""

    code = "database_unreadable"


class IndexDamaged(DatabaseUnreadable):
    """An index of words is damaged, what it indexes is not; nothing was stored."""


class BackupUnusable(StorageError):
    """A backup is cut short, changed, of a newer Portal, or under another password; nothing was put in place."""

    code = "backup_unusable"


class DataFolderBusy(StorageError):
    """Another server owns the data folder, or the database; the message names it."""

    code = "data_folder_busy"


class TakenOver(StorageError):
    """Other servers took this one for dead, and one of them does by now what this one did; nothing was stored."""

    status = 503
    code = "taken_over"


class SettingsError(PortalError):
    """A setting is missing or wrong; the message names it."""

    code = "settings_error"


def is_full(error: Exception) -> bool:
    """Whether it comes of a full disk, itself or, of several at once, one of them."""
    if isinstance(error, ExceptionGroup):
        return any(is_full(one) for one in error.exceptions)
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def unforeseen(error: Exception) -> PortalError:
    """What a client is told of a fault that nobody foresaw: that a disk is full, if that is it, else where to look."""
    if is_full(error):
        return StorageFull("A disk of Portal's machine is full, perhaps the one of temporary files: make room there.")
    return PortalError("Portal failed to answer this request; its log has the details.", code="internal_error")
