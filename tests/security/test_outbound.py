"""The outbound guard, against real servers on loopback that stand for the internet's."""

import asyncio
import gzip
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from portal.core.outbound import OutboundRequest
from portal.errors import ToolError
from portal.security.outbound import Guard
from portal.settings import Settings

PUBLIC = "public.example"


class Names:
    """Who is where; a name may answer differently each time."""

    def __init__(self) -> None:
        self.known: dict[str, list[Sequence[str]]] = {}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.known:
            raise OSError("no such name")
        answers = self.known[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Site:
    """A server that answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.pages: dict[str, Callable[[web.Request], web.StreamResponse]] = {}
        self.stall = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.path, headers, await request.read()))
        if request.path == "/stall":
            await self.stall.wait()
        if request.path == "/endless":
            return await _endless(request)
        return self.pages[request.path](request)

    def url(self, path: str, host: str = PUBLIC) -> str:
        return f"http://{host}:{self.port}{path}"

    def text(self, path: str, text: str) -> None:
        self.pages[path] = lambda _: web.Response(text=text)

    def redirect(self, path: str, to: str, status: int = 302) -> None:
        self.pages[path] = lambda _: web.Response(status=status, headers={"Location": to})


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(2**16))


@asynccontextmanager
async def serving(address: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    site = Site()
    runner = web.AppRunner(_application(site), handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    place = web.TCPSite(runner, address, 0, ssl_context=context)
    await place.start()
    site.port = runner.addresses[0][1]
    yield site
    site.stall.set()
    await runner.cleanup()


def _application(site: Site) -> web.Application:
    application = web.Application(client_max_size=2**30)
    application.router.add_route("*", "/{path:.*}", site.answer)
    return application


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as running:
        yield running


@pytest.fixture
def names() -> Names:
    made = Names()
    made.known[PUBLIC] = [["127.0.0.1"]]
    return made


def guard(names: Names, *own: str, ports: Sequence[int] = (80, 443)) -> Guard:
    """One for which some loopback addresses are as good as public."""
    return Guard(Settings(tools={"private_hosts": own, "ports": ports}), resolver=names.resolve)  # type: ignore[arg-type]


@pytest.fixture
def open_guard(names: Names) -> Guard:
    return guard(names, PUBLIC, "other.example")


async def test_a_page_comes_as_it_is(site: Site, open_guard: Guard) -> None:
    site.pages["/a"] = lambda _: web.Response(
        status=404,
        text="gone",
        headers=[("X-One", "1"), ("X-One", "2"), ("ETag", "x")],  # type: ignore[arg-type]
    )

    answer = await open_guard.fetch(OutboundRequest(url=site.url("/a?q=1#part")))

    assert (answer.status, answer.body, answer.cut) == (404, b"gone", False)
    assert answer.url == site.url("/a?q=1")
    assert (answer.headers["x-one"], answer.headers["etag"]) == ("1, 2", "x")
    method, _, headers, _ = site.seen[0]
    assert method == "GET"
    assert headers["host"] == f"{PUBLIC}:{site.port}"
    assert headers["user-agent"].startswith("Portal/")
    assert "cookie" not in headers


async def test_a_request_with_a_body_and_headers(site: Site, open_guard: Guard) -> None:
    site.text("/a", "ok")

    await open_guard.fetch(
        OutboundRequest(url=site.url("/a"), method="put", headers={"X-Key": "k", "Content-Type": "a/b"}, body=b"data")
    )

    method, _, headers, body = site.seen[0]
    assert (method, body, headers["x-key"], headers["content-type"]) == ("PUT", b"data", "k", "a/b")


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "//public.example/", "ftp://public.example/", "file:///etc/passwd", "gopher://public.example/",
        "data:text/plain,x",
        "http://", "http:///path", "http://user@public.example/", "http://user:word@public.example/",
        "http://:w@public.example/",
        "http://public.example/a b", "http://public.example/\n", "http://public.example\\@127.0.0.1/",
        "http://public.example:99999/",
        "http://public.example:x/", "http://[::1/", "http://" + "a" * 9000, "http://unknown.example/",
        "http://empty.example/",
        "http://nonsense.example/", "http://" + "a" * 300 + ".example/", "http://xn--\uffff.example/",
    ],
)  # fmt: skip
async def test_addresses_that_are_none(url: str, names: Names) -> None:
    names.known |= {"empty.example": [[]], "nonsense.example": [["no address"]]}

    with pytest.raises(ToolError):
        await guard(names, PUBLIC).fetch(OutboundRequest(url=url))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "0.0.0.0", "10.1.2.3", "169.254.169.254", "100.100.100.200", "192.168.0.1",
        "224.0.0.1",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "[fe80::1]", "[fd00::1]",
        "[fe80::1%25eth0]", "[::1%25lo]", "2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1", "0x7f.1",
        "127.0.0.1.", "１２７.0.0.1", "127。0。0。1", "inside.example", "mixed.example", "six.example",
        "mapped.example",
    ],
)  # fmt: skip
async def test_what_is_not_public_is_not_reached(host: str, site: Site, names: Names) -> None:
    site.text("/", "PRIVATE")
    names.known |= {
        "localhost": [["127.0.0.1"]],
        "inside.example": [["127.0.0.1"]],
        "mixed.example": [["93.184.215.14", "127.0.0.1"]],
        "six.example": [["::1"]],
        "mapped.example": [["::ffff:127.0.0.1"]],
    }

    with pytest.raises(ToolError):
        await guard(names, ports=[80, site.port]).fetch(OutboundRequest(url=f"http://{host}:{site.port}/"))

    assert site.seen == []


async def test_a_redirect_to_what_is_not_public_is_not_followed(site: Site, names: Names) -> None:
    site.text("/secret", "PRIVATE")
    names.known["inside.example"] = [["127.0.0.1"]]
    for number, to in enumerate(
        [f"http://127.0.0.1:{site.port}/secret", f"http://inside.example:{site.port}/secret",
        f"http://[::ffff:7f00:1]:{site.port}/",
         "file:///etc/passwd", "http://user:word@public.example/", "//0x7f.1/", "http://[::1", f"http://{PUBLIC}:22x/"]
    ):  # fmt: skip
        site.redirect(f"/{number}", to)
        with pytest.raises(ToolError):
            await guard(names, f"{PUBLIC}:{site.port}").fetch(OutboundRequest(url=site.url(f"/{number}")))

    assert [path for _, path, _, _ in site.seen] == [f"/{number}" for number in range(8)]


async def test_a_name_that_changes_its_address_gets_no_second_look(site: Site, names: Names) -> None:
    """DNS rebinding: the first answer is harmless, the second would be this machine."""
    site.text("/", "PRIVATE")
    names.known["rebinding.example"] = [["127.0.0.9"], ["127.0.0.1"]]
    unreachable = guard(names, "127.0.0.9")

    with pytest.raises(ToolError, match="cannot be reached"):
        await unreachable.fetch(OutboundRequest(url=site.url("/", "rebinding.example")))

    assert site.seen == []
    assert names.asked == ["rebinding.example"]
    with pytest.raises(ToolError, match="not a public address"):
        await unreachable.fetch(OutboundRequest(url=site.url("/", "rebinding.example")))


async def test_the_checked_address_is_connected_to_with_the_right_host(names: Names) -> None:
    async with serving("127.0.0.7") as elsewhere:
        elsewhere.text("/", "there")
        names.known["site.example"] = [["127.0.0.7"]]

        answer = await guard(names, "127.0.0.7").fetch(OutboundRequest(url=elsewhere.url("/", "site.example")))

        assert answer.body == b"there"
        assert elsewhere.seen[0][2]["host"] == f"site.example:{elsewhere.port}"


async def test_ports_that_nobody_allowed(names: Names) -> None:
    names.known["far.example"] = [["93.184.215.14"]]

    with pytest.raises(ToolError, match=r"Port 22 .* tools\.ports"):
        await guard(names).fetch(OutboundRequest(url="http://far.example:22/"))


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "GET", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
async def test_redirects_as_browsers_follow_them(
    status: int, method: str, then: str, site: Site, open_guard: Guard
) -> None:
    site.redirect("/a", "/b", status)
    site.text("/b", "arrived")
    body = b"data" if method in ("POST", "PUT") else b""

    answer = await open_guard.fetch(
        OutboundRequest(url=site.url("/a"), method=method, body=body, headers={"Authorization": "mine"})
    )

    assert answer.url == site.url("/b")
    second = site.seen[1]
    assert (second[0], second[3]) == (then, body if then == method else b"")
    assert second[2]["authorization"] == "mine"


async def test_another_host_gets_no_credential(site: Site, open_guard: Guard, names: Names) -> None:
    names.known["other.example"] = [["127.0.0.1"]]
    site.redirect("/a", site.url("/b", "other.example"))
    site.text("/b", "arrived")
    headers = {"Authorization": "mine", "Cookie": "mine", "X-Api-Key": "mine", "Accept": "text/html"}

    await open_guard.fetch(OutboundRequest(url=site.url("/a"), headers=headers))

    first, second = (headers for _, _, headers, _ in site.seen)
    assert first["authorization"] == first["cookie"] == first["x-api-key"] == "mine"
    assert "mine" not in second.values()
    assert second["accept"] == "text/html"


async def test_another_host_gets_no_body(site: Site, open_guard: Guard, names: Names) -> None:
    names.known["other.example"] = [["127.0.0.1"]]
    site.redirect("/a", site.url("/b", "other.example"), 307)

    with pytest.raises(ToolError, match="repeated at other"):
        await open_guard.fetch(OutboundRequest(url=site.url("/a"), method="POST", body=b"mine"))

    assert len(site.seen) == 1


async def test_five_redirects_and_no_more(site: Site, open_guard: Guard) -> None:
    for number in range(10):
        site.redirect(f"/{number}", f"/{number + 1}")
    site.text("/10", "arrived")

    assert (await open_guard.fetch(OutboundRequest(url=site.url("/5")))).body == b"arrived"
    with pytest.raises(ToolError, match="more than 5"):
        await open_guard.fetch(OutboundRequest(url=site.url("/4")))


async def test_a_long_body_is_cut(site: Site, open_guard: Guard) -> None:
    site.text("/a", "x" * 100)

    cut = await open_guard.fetch(OutboundRequest(url=site.url("/a"), largest=99))
    whole = await open_guard.fetch(OutboundRequest(url=site.url("/a"), largest=100))
    endless = await open_guard.fetch(OutboundRequest(url=site.url("/endless"), largest=10**6))

    assert (len(cut.body), cut.cut) == (99, True)
    assert (len(whole.body), whole.cut) == (100, False)
    assert (len(endless.body), endless.cut) == (10**6, True)


def compressed(data: bytes, encoding: str) -> Callable[[web.Request], web.Response]:
    return lambda _: web.Response(body=data, headers={"Content-Encoding": encoding})


async def test_compressed_bodies(site: Site, open_guard: Guard) -> None:
    bare = zlib.compressobj(wbits=-15)
    site.pages |= {
        "/gzip": compressed(gzip.compress(b"text"), "gzip"),
        "/deflate": compressed(zlib.compress(b"text"), "deflate"),
        "/bare": compressed(bare.compress(b"text") + bare.flush(), "deflate"),
        "/plain": compressed(b"text", "identity"),
    }

    for path in ("/gzip", "/deflate", "/bare", "/plain"):
        answer = await open_guard.fetch(OutboundRequest(url=site.url(path)))
        assert (answer.body, answer.cut) == (b"text", False), path
    assert (await open_guard.fetch(OutboundRequest(url=site.url("/gzip"), method="HEAD"))).body == b""


async def test_a_decompression_bomb_is_not_unpacked(site: Site, open_guard: Guard) -> None:
    packer, bomb = zlib.compressobj(9, wbits=31), b""
    for _ in range(200):
        bomb += packer.compress(bytes(2**20))
    site.pages["/bomb"] = compressed(bomb + packer.flush(), "gzip")

    answer = await open_guard.fetch(OutboundRequest(url=site.url("/bomb"), largest=1000))

    assert (answer.body, answer.cut) == (bytes(1000), True)


async def test_compressed_nothing_without_end(site: Site, open_guard: Guard) -> None:
    """Blocks that hold nothing: the body never grows, the reading ends all the same."""
    empty = b"\x00\x00\x00\xff\xff" * 2**19
    site.pages["/empty"] = compressed(zlib.compress(b"")[:2] + empty, "deflate")

    answer = await open_guard.fetch(OutboundRequest(url=site.url("/empty"), largest=1000))

    assert (answer.body, answer.cut) == (b"", True)


@pytest.mark.parametrize(("encoding", "body"), [("br", b"x"), ("gzip, gzip", b"x"), ("gzip", b"no gzip at all" * 5)])
async def test_compression_that_cannot_be_read(encoding: str, body: bytes, site: Site, open_guard: Guard) -> None:
    site.pages["/a"] = compressed(body, encoding)

    with pytest.raises(ToolError, match="compressed"):
        await open_guard.fetch(OutboundRequest(url=site.url("/a")))


async def test_damage_in_the_middle_of_a_compressed_body(site: Site, open_guard: Guard) -> None:
    good = gzip.compress(bytes(range(256)) * 2000, 0)
    site.pages["/a"] = compressed(good[:200_000] + b"\xff" * 200_000, "gzip")

    with pytest.raises(ToolError, match="damaged"):
        await open_guard.fetch(OutboundRequest(url=site.url("/a")))


async def test_a_server_that_never_answers(site: Site, open_guard: Guard) -> None:
    with pytest.raises(ToolError, match=r"did not answer within 0\.2 seconds"):
        await open_guard.fetch(OutboundRequest(url=site.url("/stall"), seconds=0.2))


async def test_a_server_that_is_not_there_or_speaks_something_else(open_guard: Guard) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-hello\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ToolError, match="cannot be reached"):
            await open_guard.fetch(OutboundRequest(url=f"http://{PUBLIC}:{port}/"))
    with pytest.raises(ToolError, match="cannot be reached"):
        await open_guard.fetch(OutboundRequest(url=f"http://{PUBLIC}:{port}/"))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (OutboundRequest(url=f"http://{PUBLIC}/", method="CONNECT"), "no method"),
        (OutboundRequest(url=f"http://{PUBLIC}/", method="GET / HTTP/1.1\r\nX:"), "no method"),
        (OutboundRequest(url=f"http://{PUBLIC}/", headers={"Host": "127.0.0.1"}), "cannot be set"),
        (OutboundRequest(url=f"http://{PUBLIC}/", headers={"Transfer-Encoding": "chunked"}), "cannot be set"),
        (OutboundRequest(url=f"http://{PUBLIC}/", headers={"Proxy-Authorization": "x"}), "cannot be set"),
        (OutboundRequest(url=f"http://{PUBLIC}/", headers={"X": "a\r\nHost: b"}), "no header"),
        (OutboundRequest(url=f"http://{PUBLIC}/", headers={"X: y\r\nZ": "a"}), "no header"),
    ],
)
async def test_requests_that_are_none(request_: OutboundRequest, why: str, names: Names) -> None:
    with pytest.raises(ToolError, match=why):
        await guard(names, PUBLIC).fetch(request_)

    assert names.asked == []


async def test_encrypted_with_the_right_name_and_a_certificate_that_is_not_trusted(
    names: Names, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_certificate(tmp_path))
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(context=context))

        with pytest.raises(ToolError, match="certificate is not valid"):
            await guard(names, PUBLIC).fetch(OutboundRequest(url=f"https://{PUBLIC}:{server.port}/"))

    assert asked == [PUBLIC]
    assert server.seen == []


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={PUBLIC}"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key


async def test_this_machine_looks_names_up(site: Site) -> None:
    site.text("/", "here")
    own = Guard(Settings(tools={"private_hosts": ("localhost",)}))  # type: ignore[arg-type]

    assert (await own.fetch(OutboundRequest(url=site.url("/", "localhost")))).body == b"here"
    with pytest.raises(ToolError, match="no host named"):
        await own.fetch(OutboundRequest(url="http://no-such-name.invalid/"))


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@far.example/a.git",
        "ssh://git@far.example:22/a.git",
        "git://far.example/a.git",
        "https://ada:word@far.example/a.git",
        "http://10.0.0.5/a.git",
    ],
)
async def test_git_may_reach_what_is_public_or_allowed(names: Names, url: str) -> None:
    names.known["far.example"] = [["93.184.216.34"]]

    (address,) = await guard(names, "10.0.0.5").check(url)

    assert address in ("93.184.216.34", "10.0.0.5")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ssh://git@localhost/a.git", "not a public address"),
        ("ssh://git@10.0.0.5/a.git", "not a public address"),
        ("git://[::1]/a.git", "not a public address"),
        ("http://169.254.169.254/a.git", "not a public address"),
        ("https://0x7f.1/a.git", "misleading spelling"),
        ("ssh://git@far.example:2222/a.git", "Port 2222"),
        ("https://far.example:22/a.git", "Port 22"),
        ("ssh:///a.git", "not an address"),
        ("ftp://far.example/a.git", "not an address"),
        ("ssh://git@absent.example/a.git", "no host named"),
    ],
)
async def test_git_may_not_reach_anything_else(names: Names, url: str, why: str) -> None:
    names.known["far.example"] = [["93.184.216.34"]]
    names.known["localhost"] = [["127.0.0.1"]]

    with pytest.raises(ToolError, match=why):
        await guard(names).check(url)


async def test_a_redirect_is_followed_only_where_policies_allow_it(site: Site, open_guard: Guard) -> None:
    site.redirect("/a", site.url("/b", host="other.example"))
    asked: list[str] = []

    def allowed(url: str) -> bool:
        asked.append(url)
        return "other.example" not in url

    with pytest.raises(ToolError, match=r"leads to other\.example, which policies do not allow"):
        await open_guard.fetch(OutboundRequest(url=site.url("/a"), allowed=allowed))

    assert asked == [site.url("/b", host="other.example")]
    assert len(site.seen) == 1
