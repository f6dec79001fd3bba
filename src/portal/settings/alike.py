"""What several servers of one installation should have in common, and where they differ."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from portal.settings import Settings

OF_ONE_SERVER = frozenset(
    {"data_dir", "config", "database", "migrate", "seal_key", "server", "embedded", "secrets", "backup", "log"}
)
"""What may differ: places, and what is about one machine."""


def marks_of(settings: Settings) -> dict[str, str]:
    """Of each part a short mark, equal where they say the same; what is secret is left out."""
    whole = settings.model_dump(mode="json", exclude=set(OF_ONE_SERVER))
    return {name: hashlib.sha256(json.dumps(part).encode()).hexdigest()[:8] for name, part in sorted(whole.items())}


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Sequence[str]:
    """The parts that differ; none where the other one is of a version that has fewer, or says nothing."""
    return [name for name in ours if name in theirs and ours[name] != theirs[name]]
