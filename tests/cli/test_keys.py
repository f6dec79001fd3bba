"""Keys and links, beside a running server and without one."""

import pytest
from tests.cli.conftest import Installation, get

from portal.cli.client import Client
from portal.errors import PortalError
from portal.storage.data_folder import lock_data_folder


def secret(installation: Installation, name: str) -> str:
    made = installation.run("keys", "create", name)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.count("\n") == 1
    return made.stdout.strip()


def test_a_key_made_without_a_server_is_good_when_one_runs(installation: Installation) -> None:
    key = secret(installation, "early")

    server = installation.up()

    assert Client(url=server.file.url, token=key).get("/v1/models")["object"] == "list"
    assert installation.run("keys", "list").stdout.startswith(f"early\t...{key[-4:]}\tused ")


def test_a_key_made_beside_a_server_is_good_at_once_and_revoked_at_once(shared: Installation) -> None:
    running = shared.server_file()
    key = secret(shared, "beside")
    client = Client(url=running.url, token=key)
    assert client.get("/v1/models")["object"] == "list"

    revoked = shared.run("keys", "revoke", "beside")

    assert revoked.returncode == 0
    with pytest.raises(PortalError, match="API key") as refusal:
        client.get("/v1/models")
    assert refusal.value.status == 401
    assert "beside" not in shared.run("keys", "list").stdout


def test_keys_without_a_server_are_listed_and_revoked(installation: Installation) -> None:
    assert "There are no keys yet" in installation.run("keys", "list").stderr
    key = secret(installation, "one")

    assert installation.run("keys", "list").stdout == f"one\t...{key[-4:]}\tnever used\n"
    assert installation.run("keys", "revoke", "one").returncode == 0
    assert installation.run("keys", "list").stdout == ""


@pytest.mark.parametrize("where", ["shared", "installation"])
def test_what_is_wrong_is_said_on_standard_error(request: pytest.FixtureRequest, where: str) -> None:
    here: Installation = request.getfixturevalue(where)
    secret(here, "twice")

    again = here.run("keys", "create", "twice")
    unknown = here.run("keys", "revoke", "nobody")
    empty = here.run("keys", "create", " ")

    assert {done.returncode for done in (again, unknown, empty)} == {1}
    assert again.stdout == ""
    assert "Error: There is no key named 'nobody'" in unknown.stderr
    assert "name" in empty.stderr


def test_a_link_signs_in_whether_or_not_a_server_runs(installation: Installation) -> None:
    early = installation.run("link").stdout.strip()
    server = installation.up()
    late = installation.run("link").stdout.strip()

    assert late.startswith(f"{server.file.url}/sign-in?token=")
    for link in (early, late):
        address = f"{server.file.url}{link[link.index('/sign-in') :]}"
        assert "portal_session=" in (get(address).headers["set-cookie"] or "")
        assert get(address).headers["set-cookie"] is None


def test_a_folder_that_another_command_holds_is_not_touched(installation: Installation) -> None:
    with lock_data_folder(installation.data_dir, "a visitor"):
        done = installation.run("keys", "list")

    assert done.returncode == 1
    assert "in use by a visitor" in done.stderr
