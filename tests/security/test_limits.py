"""The limiter, budgets, terms, attempts and what is pending, by a clock of their own."""

import pytest

from portal.core.ports import Spending
from portal.core.records import CredentialRecord, UserRecord
from portal.core.terms import Standing, Terms, checked, current
from portal.errors import BadRequest, Forbidden, RateLimited
from portal.security import access
from portal.security.budgets import DAY, Budgets
from portal.security.credentials import Caller
from portal.security.limiter import Limiter
from portal.security.passwords import Attempts, folded
from portal.security.pending import SECONDS, Pending
from portal.security.rights import Rights
from portal.security.throttle import Allowed, Throttle, rate_headers


class Clock:
    def __init__(self, now: float = 0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Spent(Spending):
    """A usage log that says so much was used before."""

    def __init__(self, requests: int = 0, tokens: int = 0) -> None:
        self.used = requests, tokens
        self.asked: list[str] = []

    async def spent(self, kind: str, whose: str, since: int) -> tuple[int, int]:
        self.asked.append(f"{kind} {whose}")
        return self.used


def test_a_rate_allows_a_burst_and_then_its_pace() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock)
    for _ in range(15):
        limiter.take("a", 60)
    with pytest.raises(RateLimited) as refusal:
        limiter.take("a", 60)
    assert refusal.value.retry_after == 1
    limiter.take("b", 60)
    clock.now = 1
    bucket = limiter.take("a", 60)
    assert (int(bucket.left), round(bucket.full_in)) == (0, 15)
    clock.now = 1000
    assert limiter.take("a", 60).left == 14
    assert limiter.take("a", 8).left == 4  # another rate begins anew
    with pytest.raises(RateLimited):
        [limiter.take("slow", 1) for _ in range(2)]


def test_so_many_at_once() -> None:
    limiter = Limiter()
    twice = limiter.inside("a", 2), limiter.inside("a", 2)
    with twice[0], twice[1], limiter.inside("b", 2), pytest.raises(RateLimited), limiter.inside("a", 2):
        pass
    with limiter.inside("a", 1):
        pass


async def test_a_budget_lasts_a_day() -> None:
    clock = Clock(10 * DAY + 5)
    spent = Spent(requests=1)
    budgets = Budgets(spending=spent, now=lambda: int(clock.now))
    assert await budgets.of("key", "key_1", Terms(rate=5)) is None
    account = await budgets.of("key", "key_1", Terms(requests=2))
    assert account is not None
    account.calling()
    with pytest.raises(RateLimited) as refusal:
        account.calling()
    assert refusal.value.code == "insufficient_quota"
    assert await budgets.of("key", "key_1", Terms(requests=2)) is account
    clock.now = 9 * DAY  # a clock that is set back
    with pytest.raises(RateLimited):
        account.calling()
    clock.now = 11 * DAY + 1
    account.calling()
    await budgets.of("key", "key_1", Terms(tokens=5))
    account.spent(5)
    with pytest.raises(RateLimited, match="tokens"):
        account.calling()
    assert spent.asked == ["key key_1"]


def test_scopes_are_known_and_say_what_they_say() -> None:
    assert checked(["models:a*", " read-only ", "read-only"]) == ("models:a*", "read-only")
    for wrong in (["x"], ["models:"], [f"models:{'x' * 201}"], [f"models:{n}" for n in range(101)]):
        with pytest.raises(BadRequest):
            checked(wrong)
    free = Terms()
    assert (free.bounded, free.read_only, free.runs_portal) == (False, False, True)
    assert free.names_model("x")
    assert free.names_workspace("x")
    assert free.uses("x", "y")
    models = Terms(scopes=("models:a*", "tools:web*", "tools:files"))
    assert models.names_model("abc")
    assert not models.names_model("b")
    assert models.names_workspace("auto")
    assert models.uses("web_search", "web")
    assert models.uses("read", "files")
    assert not models.uses("shell", "host")
    space = Terms(scopes=("workspaces:auto",))
    assert space.names_workspace("auto")
    assert not space.names_workspace("b")
    assert space.answers("anything")
    assert not space.names_model("anything")
    assert Terms.of(models.stored()) == models
    assert Terms(rate=3).stored() == {"rate": 3}
    both = Standing("user", [models, space])
    assert both.answers("abc")
    assert not both.names_model("abc")
    assert both.uses("web_x", "web")


async def test_people_are_bounded_by_role_and_by_themselves() -> None:
    rights = Rights(budgets=Budgets(spending=Spent()), roles={"guest": Terms(scopes=("tools:none",))})
    guest = UserRecord(id="user_g", name="G", role="guest", created_at=1, terms={"requests": 2})
    standing = await rights.note(guest)
    assert standing is not None
    assert rights.of("user_g") is standing
    assert not standing.uses("any", "any")
    key = CredentialRecord(id="key_1", owner="user_g", kind="key", name="k", created_at=1, terms={"tokens": 5})
    bounded = await rights.of_key(guest, key)
    assert bounded is not None
    assert bounded.credential == "key_1"
    bounded.calling()
    bounded.spent(5)
    with pytest.raises(RateLimited, match="this key"):
        bounded.calling()
    standing.calling()
    with pytest.raises(RateLimited, match="this person"):
        standing.calling()
    member = UserRecord(id="user_g", name="G", role="member", created_at=1)
    assert await rights.note(member) is None
    assert rights.of("user_g") is None
    owner = UserRecord(id="user_o", name="O", role="owner", created_at=1, terms={"requests": 1})
    assert await rights.note(owner) is None


def test_attempts_wait_after_too_many_failures() -> None:
    clock = Clock()
    attempts = Attempts(most=2, seconds=60, clock=clock)
    attempts.check("a", "b")
    attempts.failed("a", "b")
    attempts.failed("a")
    with pytest.raises(RateLimited) as refusal:
        attempts.check("b", "a")
    assert refusal.value.retry_after == 60
    attempts.check("b")
    clock.now = 61
    attempts.check("a")
    attempts.failed("a", "a")
    attempts.forget("a")
    attempts.check("a")
    assert folded(" Ada@Example.COM ") == "ada@example.com"
    for wrong in ("", "two words", "x" * 201, "a\x00b"):
        with pytest.raises(BadRequest):
            folded(wrong)


async def test_what_is_pending_is_finished_once_and_in_time() -> None:
    clock = Clock()
    pending: Pending[int] = Pending(clock=clock)
    token = await pending.begin(1)
    assert (await pending.finish(token), await pending.finish(token), await pending.finish("x")) == (1, None, None)
    late = await pending.begin(2)
    clock.now = SECONDS + 1
    assert await pending.finish(late) is None
    first = await pending.begin(3)
    for number in range(5000):
        await pending.begin(number)
    assert await pending.finish(first) is None


def test_the_door_asks_for_everybody_but_the_owner_at_home() -> None:
    allowed = Allowed(person=4, address=4, person_at_once=1, address_at_once=1)
    throttle = Throttle(limiter=Limiter(clock=Clock()), allowed=allowed)
    owner, member = Caller("user_o", "key", "k", "member", owns=True), Caller("user_m", "key", "k2")
    for _ in range(50):
        assert throttle.admit(owner, at_home=True, socket=False) is None
    for _ in range(4):
        throttle.admit(member, at_home=True, socket=False)
        throttle.knock("192.0.2.1")
    with pytest.raises(RateLimited):
        throttle.admit(member, at_home=True, socket=False)
    with pytest.raises(RateLimited):
        throttle.knock("192.0.2.1")
    with throttle.inside(member, "192.0.2.2"):
        with pytest.raises(RateLimited), throttle.inside(member, ""):
            pass
        with pytest.raises(RateLimited), throttle.inside(None, "192.0.2.2"):
            pass
        with throttle.inside(owner, ""):
            pass


def test_calls_on_a_socket_count_like_requests() -> None:
    allowed = Allowed(person=0, address=0, person_at_once=0, address_at_once=0)
    throttle = Throttle(limiter=Limiter(clock=Clock()), allowed=allowed)
    caller = Caller("user_m", "key", "k", rate=2, rates=[("person user_m itself", 3)])
    bucket = throttle.admit(caller, at_home=False, socket=True)
    assert bucket is not None
    assert bucket.rate == 2
    standing = current.get()
    assert standing is not None
    standing.calling()
    with pytest.raises(RateLimited):
        standing.calling()
    current.set(None)
    with throttle.inside(caller, "192.0.2.1"):
        pass
    told = dict(rate_headers("/v1/messages", bucket))
    assert told[b"anthropic-ratelimit-requests-limit"] == b"2"
    assert told[b"anthropic-ratelimit-requests-reset"].endswith(b"Z")


def test_who_may_call_what() -> None:
    for path in ("/portal/v1/users", "/portal/v1/users/x", "/portal/v1/pulls/p", "/metrics"):
        with pytest.raises(Forbidden):
            access.check("member", "GET", path)
        access.check("admin", "DELETE", path)
    access.check("member", "GET", "/portal/v1/backends/presets")
    access.check("member", "DELETE", "/portal/v1/knowledge/sources/s")
    access.check("member", "POST", "/portal/v1/usersx")
    access.check("guest", "", "/v1/responses")
    access.check("guest", "GET", "/v1/files/f/content")
    for method, path in [("POST", "/v1/files"), ("GET", "/portal/v1/keys"), ("GET", "/v1/vector_stores"), ("", "/x")]:
        with pytest.raises(Forbidden):
            access.check("guest", method, path)
    with pytest.raises(Forbidden):
        access.check("owner", "POST", "/v1/responses", read_only=True)
    access.check("owner", "HEAD", "/v1/models", read_only=True)
    with pytest.raises(Forbidden):
        access.check("owner", "POST", "/portal/v1/links", bounded=True)
    access.check("owner", "GET", "/portal/v1/schedules", bounded=True)
    access.check("owner", "POST", "/portal/v1/memories", bounded=True)


async def test_what_is_counted_anew_after_midnight_is_of_the_new_day() -> None:
    log, now = Spent(3, 90), Clock(10)
    budgets = Budgets(spending=log, now=lambda: int(now.now))
    account = await budgets.of("person", "u:0", Terms(tokens=100))
    assert account is not None
    account.spent(20)
    await budgets.recount()
    assert (account.requests, account.tokens) == (3, 110), "the log may be behind"
    now.now, log.used = DAY + 10, (1, 7)
    await budgets.recount()
    assert (account.requests, account.tokens) == (1, 7)
    account.calling()
