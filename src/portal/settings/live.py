"""Which settings apply at once when their file changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from portal.settings import Settings
from portal.settings.section import Section

LIVE = frozenset(
    {
        "default_model",
        "backends",
        "workspaces",
        "rules",
        "policies",
        *(f"server.{name}" for name in ("allowed_hosts", "allowed_origins", "trusted_proxies", "drain_seconds")),
        "people.roles",
        *(f"limits.{name}" for name in ("person", "address", "person_at_once", "address_at_once", "messages")),
        "discovery.interval",
        *(f"classifier.{name}" for name in ("enabled", "model", "deadline")),
        "turns.keep_deleted_days",
        "telemetry.keep_days",
        *("retention.conversation_days", "retention.usage_days", "retention.audit_days"),
        *(f"backup.{name}" for name in ("folder", "every", "keep", "password")),
        *(f"tools.{name}" for name in ("web", "offered", "max_rounds", "max_seconds", "max_tokens")),
        *("files.quota", "files.keep_days"),
        *(f"faults.{name}" for name in ("retries", "retry_pause", "retry_deadline", "fallbacks")),
        *(f"faults.{name}" for name in ("breaker_failures", "breaker_window", "breaker_rest")),
        *("faults.queue_length", "faults.queue_deadline"),
        "anthropic.aliases",
        *("log.level", "log.levels"),
    }
)
"""Names of settings, as the manual has them. Every other one needs a restart."""


@dataclass(slots=True)
class Current:
    """The settings in force. Whoever reads them here when they are needed has those of the moment."""

    settings: Settings


def leaves(settings: Settings) -> Mapping[str, object]:
    """Every setting by its name; what is a list, or has names of its own, is one."""

    def each() -> Iterator[tuple[str, object]]:
        for name in Settings.model_fields:
            value = getattr(settings, name)
            if isinstance(value, Section):
                yield from ((f"{name}.{field}", getattr(value, field)) for field in type(value).model_fields)
            else:
                yield name, value

    return dict(each())


def changed(old: Settings, new: Settings) -> Sequence[str]:
    """Names of those that differ."""
    before, after = leaves(old), leaves(new)
    return [name for name, value in after.items() if before[name] != value]


def with_these(old: Settings, new: Settings, names: Sequence[str]) -> Settings:
    """The old settings with these values of the new ones."""
    update: dict[str, object] = {}
    for name in names:
        section, _, field = name.partition(".")
        if not field:
            update[section] = getattr(new, section)
            continue
        part = update.get(section, getattr(old, section))
        assert isinstance(part, Section)
        update[section] = part.model_copy(update={field: getattr(getattr(new, section), field)})
    return old.model_copy(update=update)
