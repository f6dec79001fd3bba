"""Ports: taken, offered, and whose they are."""

import os
import socket

import pytest

from portal.cli.ports import listen, local_url, next_free, owner_of
from portal.errors import PortalError


def test_a_taken_port_names_this_process_and_the_next_free_one(taken_port: int) -> None:
    with pytest.raises(PortalError) as refusal:
        listen("127.0.0.1", taken_port, called_as="./launch.sh")

    free = next_free("127.0.0.1", taken_port)
    assert f"(process {os.getpid()})" in refusal.value.message
    assert f"./launch.sh up --port {free}" in refusal.value.message


def test_at_the_end_of_the_range_there_is_nothing_to_offer() -> None:
    assert next_free("127.0.0.1", 65535) is None


def test_nobody_owns_a_free_port(free_port: int) -> None:
    assert owner_of(free_port) is None


@pytest.mark.parametrize(
    ("family", "address", "url"),
    [
        (socket.AF_INET, "127.0.0.1", "http://127.0.0.1:{}"),
        (socket.AF_INET, "0.0.0.0", "http://127.0.0.1:{}"),
        (socket.AF_INET6, "::1", "http://[::1]:{}"),
        (socket.AF_INET6, "::", "http://[::1]:{}"),
    ],
)
def test_this_machine_reaches_it_on_loopback(family: int, address: str, url: str) -> None:
    with listen(address, 0, called_as="portal") as listener:
        assert listener.family == family
        assert local_url(listener) == url.format(listener.getsockname()[1])


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(PortalError, match=r"cannot listen on no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0, called_as="portal")
