"""What a batch makes sure of about somebody before it stores what is theirs."""

from portal.core.clock import micros
from portal.errors import NotFound
from portal.storage.database import Statement
from portal.storage.key_values import SAVE
from portal.storage.rows import to_json

HOLD = "UPDATE users SET name = name WHERE id = :owner"
MARK = "gone:"
NOT_GONE = "SELECT 1 AS there WHERE NOT EXISTS (SELECT 1 FROM key_values WHERE name = :mark)"
MARKS = f"SELECT name, value FROM key_values WHERE name LIKE '{MARK}%'"


def holding(owner: str) -> Statement:
    """First of a batch that looks at what somebody has and then adds to it: on PostgreSQL no other one like it goes on
    before this one is through. On SQLite none does anyway."""
    return Statement(HOLD, {"owner": owner})


def there(owner: str) -> Statement:
    """That somebody was not deleted just now: what they had under way would be nobody's."""
    return Statement(NOT_GONE, {"mark": MARK + owner}, 1, no_user(owner))


def marking(owner: str) -> Statement:
    """For the batch that deletes somebody: what comes of them after it is refused, or swept away."""
    return Statement(SAVE, {"name": MARK + owner, "value": to_json(micros())})


def no_user(user_id: str) -> NotFound:
    """There is nobody of this id."""
    return NotFound(f"There is no user {user_id!r}.")
