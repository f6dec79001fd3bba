"""People in the terminal, and keys that are bounded."""

from tests.cli.conftest import Installation, get

from portal.cli.client import Client


def test_somebody_is_let_in_changed_limited_and_deleted(shared: Installation) -> None:
    running = shared.server_file()
    link = shared.run("users", "add", "Ada", "--login", "ada@example.com").stdout.strip()
    assert "portal_session=" in (get(link).headers["set-cookie"] or "")
    assert shared.run("users", "invite", "Ada").stdout.startswith(f"{running.url}/sign-in?token=")
    assert shared.run("users", "set", "ada@example.com", "--name", "Ada L", "--role", "guest").returncode == 0
    assert shared.run("users", "limit", "Ada L", "--budget", "5requests", "--scope", "models:tiny*").returncode == 0
    piped = shared.run("users", "password", "Ada L", stdin="correct horse\n")
    assert (piped.returncode, piped.stdout) == (0, "")
    assert shared.run("users", "suspend", "Ada L").returncode == 0
    (line,) = [one for one in shared.run("users", "list").stdout.splitlines() if "ada@example.com" in one]
    assert line.split("\t")[:3] == ["Ada L", "guest", "ada@example.com"]
    assert line.split("\t")[4:] == ["suspended", "models:tiny*", "5 requests a day"]
    assert shared.run("users", "resume", "Ada L").returncode == 0
    assert shared.run("users", "delete", "Ada L").returncode == 1
    assert "Ada L is deleted" in shared.run("users", "delete", "Ada L", "--everything").stderr
    assert "nobody named" in shared.run("users", "invite", "Ada L").stderr


def test_of_several_with_one_name_the_id_is_asked_for(shared: Installation) -> None:
    for _ in range(2):
        shared.run("users", "add", "Bob")
    assert "Several" in shared.run("users", "suspend", "Bob").stderr
    ids = [one.split("\t")[3] for one in shared.run("users", "list").stdout.splitlines() if one.startswith("Bob")]
    owner = next(one for one in shared.run("users", "list").stdout.splitlines() if "\towner\t" in one).split("\t")[3]
    assert shared.run("users", "delete", ids[0], "--heir", owner).returncode == 0
    assert shared.run("users", "delete", ids[1], "--everything").returncode == 0


def test_the_owner_has_a_name_and_a_password_too(shared: Installation) -> None:
    assert shared.run("users", "set", "Owner", "--name", "Olga", "--login", "olga").returncode == 0
    done = shared.run("users", "password", stdin="correct horse\n")
    assert done.returncode == 0
    assert shared.run("users", "set", "olga", "--name", "Owner").returncode == 0


def test_a_key_is_bounded_beside_a_server_and_without_one(shared: Installation, installation: Installation) -> None:
    options = (
        "--scope",
        "read-only",
        "--expires",
        "30d",
        "--rate",
        "7",
        "--budget",
        "9tokens",
        "--budget",
        "8requests",
    )
    for here in (shared, installation):
        made = here.run("keys", "create", "narrow", *options)
        assert (made.returncode, made.stderr) == (0, "")
        (line,) = [one for one in here.run("keys", "list").stdout.splitlines() if one.startswith("narrow")]
        told = line.split("\t")[3:]
        assert told[:4] == ["read-only", "7 a minute", "8 requests a day", "9 tokens a day"]
        assert told[4].startswith("until ")
        for wrong in (("--scope", "x"), ("--budget", "many"), ("--expires", "soon"), ("--expires", "2001-01-01")):
            assert here.run("keys", "create", "wrong", *wrong).returncode == 1
    client = Client(
        url=shared.server_file().url,
        token=shared.run("keys", "create", "dated", "--expires", "2999-01-01").stdout.strip(),
    )
    assert client.get("/v1/models")["object"] == "list"
