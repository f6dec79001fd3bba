"""Who may run what at once, and who is asked."""

from dataclasses import replace
from typing import Any

import pytest

from portal.core.approvals import GrantRecord
from portal.core.policy import Policy, Rules, Wish
from portal.core.tools import ToolSpec

WRITE = ToolSpec(name="write_file", description="", risk="write", toolset="files", scopes={"path": "path"})
READ = ToolSpec(name="read_file", description="", risk="read", toolset="files", scopes={"path": "path"})
FETCH = ToolSpec(name="fetch_page", description="", risk="fetch", toolset="web", scopes={"url": "url"})
COPY = ToolSpec(
    name="copy_file", description="", risk="write", toolset="files", scopes={"source": "path", "target": "path"}
)
PACK = ToolSpec(
    name="create_archive", description="", risk="write", toolset="archives", scopes={"path": "path", "sources": "path"}
)
CLONE = ToolSpec(
    name="git_clone", description="", risk="network", toolset="git", scopes={"url": "source", "folder": "path"}
)
PUSH = ToolSpec(name="git_push", description="", risk="network", toolset="git", scopes={"repository": "path"})
SECRET = Policy(action="deny", path="/srv/secret")
EVIL = Policy(action="deny", domain="evil.com")


def wish(spec: ToolSpec, **arguments: Any) -> Wish:
    return Wish(
        spec=spec, arguments=arguments, owner="alice", workspace="auto", conversation_id="conv_1", folder="/data/conv_1"
    )


def grant(spec: ToolSpec, extent: Any, value: str, **fields: Any) -> GrantRecord:
    known = {"id": "grant_1", "owner": "alice", "created_at": 10}
    return GrantRecord(
        **{**known, "tool": spec.name, "toolset": spec.toolset, "extent": extent, "value": value, **fields}
    )


def test_reading_runs_and_everything_else_asks() -> None:
    rules = Rules()

    assert rules.verdict(wish(READ, path="a"), []).action == "allow"
    assert rules.verdict(wish(WRITE, path="a"), []).action == "ask"
    assert rules.verdict(wish(FETCH, url="https://example.org"), []).action == "ask"


def test_the_web_is_read_once_it_is_turned_on_until_strangers_were_read() -> None:
    rules, page = Rules(web=True), wish(FETCH, url="https://example.org/a")

    assert rules.verdict(page, []).action == "allow"
    told = rules.verdict(page, [], tainted_at=5)
    assert (told.action, "strangers" in told.why) == ("ask", True)


def test_what_is_harmless_runs_until_strangers_were_read() -> None:
    keep = ToolSpec(name="remember", description="", risk="write", toolset="memory", harmless=True)
    rules = Rules()

    assert rules.alone(keep)
    assert rules.verdict(wish(keep, text="x"), []).action == "allow"
    assert rules.verdict(wish(keep, text="x"), [], tainted_at=5).action == "ask"
    assert Rules(policies=[Policy(action="ask", tool="memory")]).verdict(wish(keep), []).action == "ask"


def test_a_person_is_offered_what_the_call_has() -> None:
    on_a_file = Rules().verdict(wish(WRITE, path="/srv/notes/a.txt"), [])
    in_its_own = Rules().verdict(wish(WRITE, path="notes/a.txt"), [])
    on_the_web = Rules().verdict(wish(FETCH, url="https://Docs.Example.org/a"), [])

    assert (on_a_file.extents, on_a_file.scope) == (
        ["once", "conversation", "arguments", "folder"],
        "/srv/notes",
    )
    assert in_its_own.extents == ["once", "conversation", "arguments"]
    assert (on_the_web.extents, on_the_web.scope) == (
        ["once", "conversation", "arguments", "domain"],
        "docs.example.org",
    )


def test_outside_a_conversation_none_is_offered() -> None:
    alone = Wish(spec=WRITE, arguments={}, owner="alice", workspace="auto", conversation_id=None, folder="/data/r")

    assert Rules().verdict(alone, []).extents == ["once", "arguments"]


@pytest.mark.parametrize(
    ("given", "asked", "action"),
    [
        (grant(WRITE, "conversation", "conv_1"), wish(WRITE, path="a"), "allow"),
        (grant(WRITE, "conversation", "conv_2"), wish(WRITE, path="a"), "ask"),
        (grant(WRITE, "arguments", wish(WRITE, path="a").hash), wish(WRITE, path="a"), "allow"),
        (grant(WRITE, "arguments", wish(WRITE, path="a").hash), wish(WRITE, path="b"), "ask"),
        (grant(WRITE, "folder", "/srv/site"), wish(WRITE, path="/srv/site/a/b.html"), "allow"),
        (grant(WRITE, "folder", "/srv/site"), wish(WRITE, path="/srv/site/../etc/passwd"), "ask"),
        (grant(WRITE, "folder", "/srv/site"), wish(WRITE, path="/srv/sites/a"), "ask"),
        (grant(WRITE, "folder", "/srv/site"), wish(WRITE), "ask"),
        (grant(FETCH, "domain", "example.org"), wish(FETCH, url="https://docs.example.org/x"), "allow"),
        (grant(FETCH, "domain", "example.org"), wish(FETCH, url="https://badexample.org/x"), "ask"),
        (grant(FETCH, "domain", "example.org"), wish(FETCH, url="https://example.org@evil.test/x"), "ask"),
        (grant(FETCH, "domain", "example.org"), wish(FETCH, url="http://[bad"), "ask"),
        (grant(WRITE, "conversation", "conv_1", owner="mallory"), wish(WRITE, path="a"), "ask"),
        (grant(READ, "conversation", "conv_1"), wish(WRITE, path="a"), "ask"),
        (grant(WRITE, "conversation", "conv_1", toolset="plugin"), wish(WRITE, path="a"), "ask"),
        (grant(COPY, "folder", "/srv/site"), wish(COPY, source="/srv/site/a", target="b"), "allow"),
        (grant(COPY, "folder", "/srv/site"), wish(COPY, source="/srv/site/a", target="/srv/other/a"), "ask"),
        (grant(COPY, "folder", "/srv/site"), wish(COPY, source="a", target="b"), "ask"),
        (grant(PACK, "folder", "/srv/out"), wish(PACK, path="/srv/out/a.zip", sources=["/srv/secret"]), "ask"),
        (grant(PUSH, "folder", "/srv/site"), wish(PUSH, repository="/srv/site"), "ask"),
        (grant(CLONE, "domain", "example.org"), wish(CLONE, url="https://example.org/a", folder="a"), "allow"),
        (grant(CLONE, "domain", "example.org"), wish(CLONE, url="git@example.org:a.git"), "allow"),
        (grant(CLONE, "domain", "example.org"), wish(CLONE, url="https://example.org/a", folder="/srv/a"), "ask"),
        (grant(CLONE, "domain", "example.org"), wish(CLONE, url="/srv/example.org"), "ask"),
        (grant(WRITE, "once", ""), wish(WRITE, path="a"), "ask"),
    ],
)
def test_what_was_allowed_covers_just_what_it_says(given: GrantRecord, asked: Wish, action: str) -> None:
    assert Rules().verdict(asked, [given]).action == action


def test_after_strangers_were_read_only_newer_grants_and_exact_arguments_count() -> None:
    rules, asked = Rules(), wish(WRITE, path="a")
    old, new = grant(WRITE, "conversation", "conv_1"), grant(WRITE, "conversation", "conv_1", created_at=30)
    exact = grant(WRITE, "arguments", asked.hash)

    assert rules.verdict(asked, [old], tainted_at=20).action == "ask"
    assert rules.verdict(asked, [old, new], tainted_at=20).action == "allow"
    assert rules.verdict(asked, [exact], tainted_at=20).action == "allow"


@pytest.mark.parametrize(
    ("policy", "asked", "action"),
    [
        (Policy(action="deny", tool="write_*"), wish(WRITE, path="a"), "deny"),
        (Policy(action="deny", tool="files"), wish(READ, path="a"), "deny"),
        (Policy(action="allow", risk="write"), wish(WRITE, path="a"), "allow"),
        (Policy(action="allow", risk="execute"), wish(WRITE, path="a"), "ask"),
        (Policy(action="allow", path="/srv"), wish(WRITE, path="/srv/a"), "allow"),
        (Policy(action="allow", path="/srv"), wish(WRITE, path="/etc/a"), "ask"),
        (Policy(action="allow", path="/srv"), wish(FETCH, url="https://example.org"), "ask"),
        (Policy(action="allow", domain="example.org"), wish(FETCH, url="https://a.example.org"), "allow"),
        (Policy(action="allow", domain="example.org"), wish(FETCH, url="https://other.org"), "ask"),
        (Policy(action="deny", user="bob"), wish(READ, path="a"), "allow"),
        (Policy(action="deny", workspace="auto-*"), wish(READ, path="a"), "allow"),
        (Policy(action="ask", risk="read"), wish(READ, path="a"), "ask"),
    ],
)
def test_policies_decide_what_they_fit(policy: Policy, asked: Wish, action: str) -> None:
    assert Rules(policies=[policy]).verdict(asked, []).action == action


def test_the_first_policy_that_fits_decides_and_a_grant_answers_its_question() -> None:
    rules = Rules(policies=[Policy(action="ask", tool="write_file"), Policy(action="deny")])

    assert rules.verdict(wish(WRITE, path="a"), []).action == "ask"
    assert rules.verdict(wish(WRITE, path="a"), [grant(WRITE, "conversation", "conv_1")]).action == "allow"
    assert rules.verdict(wish(READ, path="a"), [grant(READ, "conversation", "conv_1")]).action == "deny"


@pytest.mark.parametrize(
    "asked",
    [
        wish(READ, path="/srv/secret/key"),
        wish(READ, path="//srv/secret/key"),
        wish(READ, path="/srv/Secret/key"),
        wish(COPY, source="/srv/secret/key", target="x"),
        wish(COPY, source="x", target="/srv/secret/key"),
        wish(PACK, path="x.zip", sources=["a", "/srv/secret"]),
        wish(READ, path="/srv"),
        wish(READ, path="/"),
        wish(READ, path="/srv/link/key"),
        wish(CLONE, url="/srv/secret/repository"),
        wish(CLONE, url="file:///srv/secret/repository"),
    ],
)
def test_a_denied_folder_is_closed_by_whatever_name_it_is_called(asked: Wish) -> None:
    policies = [SECRET, Policy(action="allow")]

    rules = Rules(policies=policies, resolve=lambda path: path.replace("/srv/link", "/srv/secret"))

    assert rules.verdict(asked, []).action == "deny"
    assert rules.verdict(wish(COPY, source="/srv/public", target="/srv/secrets"), []).action == "allow"


def test_a_denied_folder_that_is_a_link_is_closed_under_both_names() -> None:
    rules = Rules(
        policies=[Policy(action="deny", path="/docs/secret"), Policy(action="allow", path="/docs")],
        resolve=lambda path: path.replace("/docs", "/real"),
    )

    assert rules.verdict(wish(READ, path="/real/secret/x"), []).action == "deny"
    assert rules.verdict(wish(READ, path="/docs/secret/x"), []).action == "deny"
    assert rules.verdict(wish(WRITE, path="/real/x"), []).action == "allow"
    shown = grant(WRITE, "folder", "/docs/a")
    assert (
        Rules(resolve=lambda path: path.replace("/docs", "/real"))
        .verdict(wish(WRITE, path="/real/a/x"), [shown])
        .action
        == "allow"
    )


def test_an_argument_that_is_left_out_means_its_default() -> None:
    listing = ToolSpec(
        name="list_folder",
        description="",
        risk="read",
        toolset="files",
        scopes={"path": "path"},
        parameters={"type": "object", "properties": {"path": {"type": "string", "default": "."}}},
    )

    assert Rules(policies=[Policy(action="deny", path="/data")]).verdict(wish(listing), []).action == "deny"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/x",
        "evil.com/x",
        "https://a.EVIL.com.",
        "https://ｅvil.com",
        "https://evil。com",
        "\u00a0https://evil.com/",
        "//evil.com",
        "https://good.org\\@evil.com",
        "https://%65vil.com/",
        "git@evil.com:x",
        "http://[bad",
    ],
)
def test_a_denied_domain_is_closed_however_it_is_spelled(url: str) -> None:
    rules = Rules(policies=[EVIL, Policy(action="allow", domain="good.org")], web=True)

    assert rules.verdict(wish(FETCH, url=url), []).action == "deny"
    assert rules.verdict(wish(FETCH, url="good.org/x"), []).action == "allow"
    assert rules.verdict(wish(FETCH, url="https://notevil.com"), []).action == "allow"


@pytest.mark.parametrize(
    "url", ["git@evil.com:x", "evil.com:x", "ssh://git@evil.com:22/x", "git://evil.com/x", "[::1:x"]
)
def test_what_git_would_reach_is_what_is_denied(url: str) -> None:
    assert Rules(policies=[EVIL]).verdict(wish(CLONE, url=url), []).action == "deny"


def test_an_address_that_cannot_be_read_is_never_allowed() -> None:
    rules = Rules(policies=[Policy(action="allow", domain="evil.com")])

    assert rules.verdict(wish(FETCH, url="https://%65vil.com/"), []).action == "ask"
    assert "domain" not in rules.verdict(wish(FETCH, url="https://%65vil.com/"), []).extents


@pytest.mark.parametrize(
    ("policies", "web", "reached"),
    [
        ([], False, ["docs.evil.com", "evil.com", "good.org", "other.org"]),
        ([EVIL], False, ["good.org", "other.org"]),
        ([Policy(action="allow", domain="docs.evil.com"), EVIL], True, ["docs.evil.com", "good.org", "other.org"]),
        ([Policy(action="ask", tool="web", domain="other.org")], True, ["docs.evil.com", "evil.com", "good.org"]),
        ([Policy(action="ask", tool="web", domain="good.org"), EVIL], False, ["good.org", "other.org"]),
        ([Policy(action="allow", domain="good.org")], False, ["good.org"]),
        ([Policy(action="allow", domain="good.org"), EVIL], True, ["good.org", "other.org"]),
        ([Policy(action="allow", domain="good.org"), Policy(action="deny", tool="fetch_page")], True, ["good.org"]),
    ],
)
def test_a_call_that_runs_is_not_led_to_what_a_policy_closes(
    policies: list[Policy], web: bool, reached: list[str]
) -> None:
    rules, page = Rules(policies=policies, web=web), wish(FETCH, url="https://good.org")

    hosts = ["docs.evil.com", "evil.com", "good.org", "other.org"]

    assert [host for host in hosts if rules.reaches(page, f"https://{host}/x")] == reached


def test_where_it_sends_something_a_folder_is_not_offered() -> None:
    verdicts = [
        Rules().verdict(asked, [])
        for asked in (
            wish(PUSH, repository="/srv/site"),
            wish(CLONE, url="https://example.org/a", folder="/srv/a"),
            wish(COPY, source="/srv/a", target="/home/b"),
        )
    ]

    assert all(verdict.extents == ["once", "conversation", "arguments"] for verdict in verdicts)
    copied = Rules().verdict(wish(COPY, source="/srv/notes/a", target="b"), [])
    assert copied.scope == "/srv/notes"


def test_what_was_allowed_before_a_tool_became_another_does_not_hold() -> None:
    older, newer = grant(WRITE, "conversation", "conv_1"), grant(WRITE, "conversation", "conv_1", created_at=21)
    changed = replace(WRITE, since=20)

    assert Rules().verdict(wish(changed, path="a"), [older]).action == "ask"
    assert Rules().verdict(wish(changed, path="a"), [older, newer]).action == "allow"


def test_beside_tools_that_strangers_describe_only_reading_runs_by_itself() -> None:
    keep = replace(WRITE, harmless=True)
    rules, page = Rules(web=True), wish(FETCH, url="https://example.org/a")
    told = rules.verdict(page, [], wary=True)
    assert (told.action, "server that is not trusted" in told.why) == ("ask", True)
    assert rules.verdict(wish(keep, path="a"), [], wary=True).action == "ask"
    assert rules.verdict(wish(READ, path="a"), [], wary=True).action == "allow"
    given = grant(FETCH, "domain", "example.org")
    assert rules.verdict(page, [given], wary=True).action == "allow"
