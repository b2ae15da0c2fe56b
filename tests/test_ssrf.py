"""Not one connection leaves for a bad address, whatever names it: a document, a redirect, robots.txt, a requisite.

Everything goes through the command line. Two witnesses: listeners on loopback, which must see nobody, and the audit
hook of `watching`, which sees every address that the process connects to.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from cli import Cli
from fetching import fetch
from server import Site
from watching import Trap, Watched, trap

from scraper import urls
from scraper.citations.cite import target_line
from scraper.fetcher.guard import Guard, is_global, refusal
from scraper.model import Role
from scraper.settings import FetchSettings
from scraper.state import StateReader

# What a URL can name that is no address of the public internet, in every spelling; {} is the port.
FORMS = (
    # loopback, spelled every way
    "http://127.0.0.1:{}/", "http://127.0.0.2:{}/", "http://127.255.255.254:{}/", "http://localhost:{}/",
    "http://LOCALHOST:{}/", "http://localhost.:{}/", "http://a.localhost:{}/", "http://a.localhost.:{}/",
    "http://127.0.0.1.:{}/", "http://127.1:{}/", "http://127.0.1:{}/", "http://0x7f.1:{}/", "http://0x7f000001:{}/",
    "http://0X7F.0.0.0x1:{}/", "http://0177.0.0.1:{}/", "http://0177.1:{}/", "http://00000177.0.0.1:{}/",
    "http://017700000001:{}/", "http://2130706433:{}/", "http://0x7f.0.01:{}/", "http://127.0x000001:{}/",
    "http://１２７.0.0.1:{}/", "http://①②⑦.⓪.⓪.①:{}/", "http://127。0。0。1:{}/", "http://127．0．0．1:{}/",
    "http://127｡1:{}/", "http://ｌｏｃａｌｈｏｓｔ:{}/", "http://ⓛocalhost:{}/", "http://%31%32%37.0.0.1:{}/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{}/", "http://loc\u00adalhost:{}/", "http://127.0.0.1%2e:{}/",
    # the unspecified address, which Linux connects to itself
    "http://0.0.0.0:{}/", "http://0:{}/", "http://0x0:{}/", "http://00:{}/", "http://0.1.2.3:{}/", "http://[::]:{}/",
    # private, shared, link-local, metadata
    "http://10.0.0.1:{}/", "http://012.0.0.1:{}/", "http://0xa.0.0.1:{}/", "http://167772161:{}/",
    "http://172.16.0.1:{}/", "http://172.31.255.254:{}/", "http://192.168.0.1:{}/", "http://192.168.1:{}/",
    "http://100.64.0.1:{}/", "http://100.127.255.254:{}/", "http://169.254.0.1:{}/",
    "http://169.254.169.254:{}/", "http://0xa9fea9fe:{}/", "http://2852039166:{}/", "http://169.254.43518:{}/",
    "http://0251.0376.0251.0376:{}/", "http://100.100.100.200:{}/",
    # multicast, reserved, documentation, benchmarking, special
    "http://224.0.0.1:{}/", "http://239.255.255.250:{}/", "http://240.0.0.1:{}/", "http://255.255.255.255:{}/",
    "http://4294967295:{}/", "http://192.0.2.1:{}/", "http://198.51.100.1:{}/", "http://203.0.113.1:{}/",
    "http://198.18.0.1:{}/", "http://198.19.255.254:{}/", "http://192.0.0.192:{}/", "http://192.88.99.1:{}/",
    # IPv6: loopback, link-local, unique local, site-local, multicast, documentation, discard, unallocated
    "http://[::1]:{}/", "http://[0:0:0:0:0:0:0:1]:{}/", "http://[0000::0001]:{}/", "http://[::0.0.0.1]:{}/",
    "http://[fe80::1]:{}/", "http://[febf::1]:{}/", "http://[fc00::1]:{}/", "http://[fd00:ec2::254]:{}/",
    "http://[fec0::1]:{}/", "http://[ff02::1]:{}/", "http://[ff0e::1]:{}/", "http://[2001:db8::1]:{}/",
    "http://[3fff::1]:{}/", "http://[3fff:fff::1]:{}/", "http://[100::1]:{}/", "http://[100:0:0:1::1]:{}/",
    "http://[5f00::1]:{}/", "http://[4000::1]:{}/", "http://[2001:2::1]:{}/", "http://[2001:10::1]:{}/",
    "http://[2001:20::1]:{}/",
    # IPv6 around IPv4: mapped, compatible, translated, 6to4, Teredo, NAT64 of both prefixes, ISATAP
    "http://[::ffff:127.0.0.1]:{}/", "http://[::ffff:7f00:1]:{}/", "http://[0:0:0:0:0:ffff:7f00:1]:{}/",
    "http://[::ffff:10.0.0.1]:{}/", "http://[::ffff:a9fe:a9fe]:{}/", "http://[::ffff:0.0.0.0]:{}/",
    "http://[::127.0.0.1]:{}/", "http://[::7f00:1]:{}/", "http://[::a00:1]:{}/", "http://[::ffff:0:127.0.0.1]:{}/",
    "http://[2002:7f00:1::]:{}/", "http://[2002:a9fe:a9fe::1]:{}/", "http://[2002:808:808::5efe:7f00:1]:{}/",
    "http://[2001:0:5ef5:79fd:0:0:80ff:fffe]:{}/", "http://[2001:0:808:808:0:0:f7f7:f7f7]:{}/",
    "http://[64:ff9b::7f00:1]:{}/", "http://[64:ff9b::10.0.0.1]:{}/", "http://[64:ff9b::a9fe:a9fe]:{}/",
    "http://[64:ff9b:1::7f00:1]:{}/", "http://[64:ff9b:1:7f00:0:100::]:{}/", "http://[64:ff9b:1:a00:0:100:808:808]:{}/",
    "http://[2a00::5efe:7f00:1]:{}/", "http://[2a00::200:5efe:a00:1]:{}/",
    # what stands before, behind and between: users, passwords, fragments, slashes of both kinds, blanks
    "http://site.test@127.0.0.1:{}/", "http://site.test:80@127.0.0.1:{}/", "http://site.test%40@127.0.0.1:{}/",
    "http://a@site.test@127.0.0.1:{}/", "http://127.0.0.1:{}#@site.test/", "http://127.0.0.1:{}?@site.test/",
    "http://127.0.0.1:{}\\@site.test/", "http:\\\\127.0.0.1:{}\\", "http:/127.0.0.1:{}/", "http:127.0.0.1:{}/",
    "http:///127.0.0.1:{}/", "http://[::1]:{}#@site.test/", "https://127.0.0.1:{}/", "HTTP://0x7F.1:{}/",
    "http://127.0.0.1:0{}/",
)  # fmt: skip
# What no browser takes for a URL, or not for one of the web: nothing of it may reach a resolver or a socket either.
ODD = {
    "http://[fe80::1%25lo]:{}/": "malformed", "http://[::1%25lo]:{}/": "malformed", "http://[::1%lo]:{}/": "malformed",
    "http://127.0.0.256:{}/": "malformed", "http://0x100000000:{}/": "malformed", "http://4294967296:{}/": "malformed",
    "http://127.0.0.0.1:{}/": "malformed", "http://127.0.0.08:{}/": "malformed",
    "http://[::ffff:127.0.0.1:{}/": "malformed",
    "http://127.0.0.1:{}0000/": "malformed", "http://127.0.0.1%00.site.test:{}/": "malformed",
    "http://127.0.0.1 :{}/": "malformed", "http://[127.0.0.1]:{}/": "malformed", "http://[::127.1]:{}/": "malformed",
    "file:///etc/passwd?{}": "scheme", "ftp://127.0.0.1:{}/": "scheme", "gopher://127.0.0.1:{}/": "scheme",
    "javascript:fetch('http://127.0.0.1:{}/')": "scheme", "data:text/html,http://127.0.0.1:{}/": "scheme",
    "view-source:http://127.0.0.1:{}/": "scheme", "http+unix://%2Ftmp%2Fa.sock:{}/": "scheme",
    "ws://127.0.0.1:{}/": "scheme", "jar:http://127.0.0.1:{}!/": "scheme", "ldap://127.0.0.1:{}/": "scheme",
    "dict://127.0.0.1:{}/": "scheme", "unix:/var/run/docker.sock?{}": "scheme", "blob:http://127.0.0.1:{}/": "scheme",
}  # fmt: skip
# In a document these name a host; after an answer, by the URL standard, only a path on the host that answered.
RELATIVE = frozenset({"http:/127.0.0.1:{}/", "http:127.0.0.1:{}/"})
# Names of other people: what their name servers may answer, look-up by look-up.
NAMES = {
    "loop.example": [["127.0.0.1"]],
    "six.example": [["::1"]],
    "private.example": [["10.0.0.1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "printer.local": [["192.168.1.20"]],
    "any.example": [["0.0.0.0"]],
    "mixed.example": [["93.184.216.34", "127.0.0.1"]],
    "mixedfirst.example": [["127.0.0.1", "93.184.216.34"]],
    "mixedsix.example": [["2606:2800:220:1::1", "::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "mappedpublic.example": [["::ffff:8.8.8.8", "::ffff:10.0.0.1"]],
    "zoned.example": [["fe80::1%lo"]],
    "teredo.example": [["2001:0:5ef5:79fd:0:0:80ff:fffe"]],
    "nat.example": [["64:ff9b::7f00:1"]],
    "localnat.example": [["64:ff9b:1:7f00:0:100:808:808"]],
    "doc.example": [["3fff::1"]],
    "dots.example.": [["127.0.0.1"]],
    "127.0.0.1.nip.example": [["127.0.0.1"]],
}
STATUSES = (301, 302, 303, 307, 308)
# One document a way by which a page names what it needs to be seen; {} is the URL.
REQUISITES = {
    "img": '<img src="{}">', "srcset": '<img src="data:," srcset="{} 2x">',
    "sizes": '<img srcset="{} 640w" sizes="9px">',
    "picture": '<picture><source srcset="{}"><img></picture>', "lazy": '<img data-src="{}">',
    "css": '<link rel=stylesheet href="{}">', "import": '<style>@import "{}";</style>',
    "importurl": "<style>@import url('{}');</style>", "font": '<style>@font-face {{ src: url("{}") }}</style>',
    "painted": '<style>p {{ background: url("{}") }}</style>',
    "set": '<style>p {{ background: image-set("{}" 1x) }}</style>',
    "attribute": "<p style=\"background: url('{}')\">", "background": '<table background="{}"></table>',
    "icon": '<link rel=icon href="{}">',
    "poster": '<video poster="{}"></video>', "input": '<input type=image src="{}">',
    "svg": '<svg><image href="{}"/></svg>',
}  # fmt: skip
# Named, but no part of what is seen: never asked for at all.
NEVER = {
    "manifest": '<link rel=manifest href="{}">', "script": '<script src="{}"></script>',
    "frame": '<iframe src="{}"></iframe>', "object": '<object data="{}"></object>', "embed": '<embed src="{}">',
    "touch": '<link rel=apple-touch-icon href="{}">', "prefetch": '<link rel=prefetch href="{}">',
    "dns": '<link rel=dns-prefetch href="{}">',
    "ping": '<a href="/x" ping="{}">x</a>', "form": '<form action="{}"></form>', "media": '<audio src="{}"></audio>',
}  # fmt: skip
WORDS = "<p>Some words of a page, so that there is something to read in it.</p>"


@pytest.fixture
def caught() -> Iterator[Trap]:
    with trap() as opened:
        yield opened


def named(form: str, port: int, case: str) -> str:
    """A URL of this form and port; `case` keeps those apart that the run would ask for once."""
    url = form.format(port)
    return url[:-1] + f"/{case}" if url.endswith("/") and "@site.test/" not in url else url


class Attack:
    """A site whose pages lead to bad addresses in every way that the fetcher follows."""

    def __init__(self, cli: Cli, trap: Trap) -> None:
        self.cli, self.trap, self.cases = cli, trap, 0
        self.cited: list[str] = []

    def cite(self, url: str) -> None:
        self.cited.append(url)
        self.cases += 1

    def page(self, path: str, html: str = "", host: str = "site.test", **answer: object) -> str:
        headers = {"Content-Type": "text/html", **answer.pop("headers", {})}  # type: ignore[arg-type]
        self.cli.site.reply(path, host, headers=headers, body=(html + WORDS).encode(), **answer)
        return self.cli.site.url(path, host)

    def by_redirect(self, number: int, form: str) -> None:
        for status in STATUSES:
            place = wired(named(form, self.trap.port, f"l{status}"))
            self.cite(self.page(f"/{status}/{number}", status=status, headers={"Location": place}))

    def by_refresh(self, number: int, form: str) -> None:
        url = named(form, self.trap.port, "refresh")
        self.cite(self.page(f"/h/{number}", headers={"Refresh": f"0; url={wired(url)}"}))
        self.cite(self.page(f"/m/{number}", f'<meta http-equiv=refresh content="0;url={url}">'))

    def by_robots(self, number: int, form: str) -> None:
        host = f"r{number}.test"
        place = wired(named(form, self.trap.port, "robots.txt"))
        self.cli.site.reply("/robots.txt", host, status=301, headers={"Location": place})
        self.cite(self.page("/", host=host))

    def by_base(self, number: int, form: str) -> None:
        url = named(form, self.trap.port, "base/")
        self.cite(self.page(f"/b/{number}", f'<base href="{url}"><img src="x.png">'))

    def by_redirected_image(self, number: int, form: str) -> None:
        place = wired(named(form, self.trap.port, "image"))
        self.cli.site.reply(f"/i/{number}", "site.test", status=302, headers={"Location": place})
        self.cite(self.page(f"/ip/{number}", f'<img src="/i/{number}">'))

    def by_requisites(self, forms: tuple[str, ...]) -> None:
        for way, markup in {**REQUISITES, **NEVER}.items():
            found = [markup.format(named(form, self.trap.port, way)) for form in forms]
            self.cited.append(self.page(f"/q/{way}", "".join(found)))
            self.cases += len(found)
        sheet = "".join(f"p {{ background: url('{named(form, self.trap.port, 'sheet')}') }}" for form in forms)
        imports = "".join(f"@import '{named(form, self.trap.port, 'imported')}';" for form in forms)
        self.cli.site.reply("/s.css", headers={"Content-Type": "text/css"}, body=(imports + sheet).encode())
        self.cited.append(self.page("/q/sheet", "<link rel=stylesheet href=/s.css>"))
        preloads = ", ".join(f"<{wired(named(form, self.trap.port, 'link'))}>; rel=preload; as=image" for form in forms)
        self.cited.append(self.page("/q/link", headers={"Link": preloads}))
        self.cases += 3 * len(forms)

    def run(self, names: dict[str, list[list[str]]]) -> Watched:
        self.cli.settings |= {"ports": (self.trap.port,), "robots": "obey", "connect_seconds": 5.0, "max_tries": 1}
        self.cli.capture |= {"requisites": "page", "max_requisites": 5000}
        self.cli.document("\n".join(self.cited) + "\n", "cited.urls")
        watched = Watched(self.cli, names)
        ended = watched.run("run")
        assert ended.returncode in (0, 3), ended.stderr
        assert "Traceback" not in ended.stderr
        return watched


def wired(url: str) -> str:
    """A URL as a header holds it: UTF-8 read as latin-1."""
    return url.encode().decode("latin-1")


def sample(forms: tuple[str, ...], number: int, of: int) -> tuple[str, ...]:
    return forms[number % of :: of]


def attack(cli: Cli, caught: Trap, part: int) -> tuple[Attack, Watched]:
    """Every form by the three chief ways; by each of the others every `part`th, another one each."""
    forms = (*FORMS, *(f"http://{name}:{{}}/" for name in NAMES))
    whole = (*forms, *ODD)
    made = Attack(cli, caught)
    for form in forms:
        made.cite(named(form, caught.port, "cited"))
    for number, form in enumerate(whole):
        if number % part == 0:
            made.by_redirect(number, form)
        else:
            place = wired(named(form, caught.port, "l302"))
            made.cite(made.page(f"/302/{number}", status=302, headers={"Location": place}))
    for turn, by in enumerate((made.by_refresh, made.by_robots, made.by_base, made.by_redirected_image)):
        for form in sample(whole, turn, part):
            by(whole.index(form), form)
    made.by_requisites(sample(whole, 4, part))
    return made, made.run(NAMES)


def judge(cli: Cli, caught: Trap, made: Attack, watched: Watched) -> None:
    assert caught.caught == []
    assert watched.connected() == {("127.0.0.1", cli.site.http_port)}
    assert f"127.0.0.1:{caught.port}" not in {seen.host for seen in cli.site.log}
    ledger = cli.ledger()
    for form in FORMS:
        cited = target_line(named(form, caught.port, "cited"), Role.ORIGINAL, 1)
        assert cited is not None
        assert ledger[cited.url] == "excluded(address)", form
    for number, form in enumerate((*FORMS, *NAMES)):
        expected = "dead(404)" if form in RELATIVE else "excluded(address)"
        assert ledger[cli.site.url(f"/302/{number}")] == expected, form
    for number, reason in enumerate(ODD.values(), len(FORMS) + len(NAMES)):
        expected = "excluded(scheme)" if reason == "scheme" else "failed(redirects)"
        assert ledger[cli.site.url(f"/302/{number}")] == expected, list(ODD)[number - len(FORMS) - len(NAMES)]
    with StateReader.open_for_reading(cli.archive) as state:
        asked = {
            tuple(row) for row in state.query("SELECT href, state, reason FROM visits WHERE purpose = 'requisite'")
        }
    beyond = {row for row in asked if not row[0].startswith(("http://site.test/", "http://r"))}
    assert [row for row in beyond if row[1:] != ("excluded", "address")] == []
    # Each way was open: only what it led to was not asked for.
    ways = {way for way in REQUISITES for href, _, _ in beyond if href.rstrip("/").endswith(f"/{way}")}
    assert ways == set(REQUISITES)
    assert not any(href.endswith(f"/{way}") for way in NEVER for href, _, _ in beyond)
    print(f"SSRF: {made.cases} cases in {len(FORMS) + len(NAMES) + len(ODD)} forms; no connection left")


def test_not_one_connection_leaves_for_a_bad_address(cli: Cli, caught: Trap) -> None:
    made, watched = attack(cli, caught, part=7)
    judge(cli, caught, made, watched)


@pytest.mark.long
def test_not_one_connection_leaves_for_a_bad_address_by_every_form_in_every_way(cli: Cli, caught: Trap) -> None:
    made, watched = attack(cli, caught, part=1)
    judge(cli, caught, made, watched)


# ------------------------------------------------------------------- names


class Host:
    """A web server on an address of its own, for a name that moves; it answers once a connection."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.create_server((address, port))
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_a_name_that_moves_to_a_bad_address_is_not_followed_there(cli: Cli, caught: Trap) -> None:
    """DNS rebinding: the address that was judged is the one connected to, at every new connection."""
    with closing(Host("127.0.0.5", caught.port)) as good:
        cli.settings |= {
            "allow_networks": ("127.0.0.5/32",),
            "ports": (caught.port,),
            "robots": "ignore",
            "max_tries": 1,
        }
        pages = [f"http://moving.example:{caught.port}/{number}" for number in range(4)]
        cli.citing(*pages)
        # Two answers to each of our look-ups, as a resolver asked once for the judgement and once to connect would get.
        watched = Watched(cli, {"moving.example": [["127.0.0.5"], ["127.0.0.1"]]})
        watched.run("run")
        assert sorted(cli.ledger().values()) == ["captured", "captured", "excluded(address)", "excluded(address)"]
        assert watched.connected() == {("127.0.0.5", caught.port)}
        assert len(good.asked) == 2
        assert caught.caught == []


def test_the_settings_widen_only_what_they_say(cli: Cli, caught: Trap) -> None:
    with closing(Host("127.0.0.5", caught.port)) as good:
        cli.settings |= {"allow_networks": ("127.0.0.5/32",), "ports": (caught.port,), "robots": "ignore"}
        names = {"a.example": [["127.0.0.5"]], "b.example": [["127.0.0.5", "127.0.0.1"]], "c.example": [["10.0.0.1"]]}
        places = [*names, "127.0.0.5", "127.0.0.1", "127.0.0.4", "[::1]", "localhost"]
        cli.citing(*(f"http://{place}:{caught.port}/" for place in places))
        watched = Watched(cli, names)
        watched.run("run")
        ledger = {url.split("/")[2].rpartition(":")[0]: shown for url, shown in cli.ledger().items()}
        allowed = {place for place, shown in ledger.items() if shown == "captured"}
        assert allowed == {"a.example", "127.0.0.5"}
        assert {shown for place, shown in ledger.items() if place not in allowed} == {"excluded(address)"}
        assert watched.connected() == {("127.0.0.5", caught.port)}
        assert len(good.asked) == 2
        assert caught.caught == []


def test_a_name_that_no_resolver_can_be_asked_for_fails_without_a_crash(cli: Cli) -> None:
    cli.settings |= {"robots": "ignore", "max_tries": 1}
    places = ["a" * 300 + ".example", ".".join(["a" * 60] * 5) + ".example", "a..example", "-.example", "xn--a.example"]
    cli.citing(*(f"http://{place}/" for place in places), cli.site.url("/"))
    watched = Watched(cli)
    ended = watched.run("run")
    assert "Traceback" not in ended.stderr
    states = cli.ledger()
    assert states.pop("http://site.test/") == "dead(404)"
    assert set(states.values()) <= {"failed(dns)", "excluded(malformed)"}
    assert watched.connected() == {("127.0.0.1", cli.site.http_port)}


# ------------------------------------------------- ports, schemes, proxies


def test_no_port_but_the_webs_own_is_knocked_at_by_any_way(cli: Cli, caught: Trap) -> None:
    cli.settings |= {"robots": "ignore"}
    cli.capture |= {"requisites": "page"}
    # 127.0.0.5 is allowed: only the port keeps these from being asked.
    cli.settings |= {"allow_networks": ("127.0.0.0/8",)}
    places = [f"http://127.0.0.1:{port}/" for port in (caught.port, 1, 21, 22, 25, 81, 3306, 6379, 8081, 9200, 65535)]
    places += [f"http://site.test:{caught.port}/", "https://127.0.0.1:6379/", "http://127.0.0.1:0/"]
    pages = []
    for number, place in enumerate(places):
        cli.site.reply(f"/{number}", status=301, headers={"Location": place})
        pages.append(cli.site.url(f"/{number}"))
    images = "".join(f'<img src="{place}">' for place in places)
    cli.site.reply("/images", headers={"Content-Type": "text/html"}, body=images.encode())
    cli.citing(*places, *pages, cli.site.url("/images"))
    watched = Watched(cli)
    watched.run("run")
    ledger = cli.ledger()
    assert [ledger[url] for url in (*places, *pages)] == ["excluded(port)"] * 2 * len(places)
    assert watched.connected() == {("127.0.0.1", cli.site.http_port)}
    assert caught.caught == []


@pytest.mark.parametrize("port", [80, 443, 8000, 8080, 8443])
def test_the_webs_ports_are_open(port: int) -> None:
    assert refusal(urls.target(f"http://example.com:{port}/"), Guard.of(FetchSettings())) is None


def test_no_proxy_nor_netrc_of_the_environment_is_used(cli: Cli, caught: Trap) -> None:
    cli.site.reply("/a", body=b"here")
    cli.citing(cli.site.url("/a"), cli.site.url("/a", "site.test", "https"))
    proxy = f"http://user:word@127.0.0.1:{caught.port}"
    names = (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "FTP_PROXY",
        "WS_PROXY",
    )
    (cli.folder / ".netrc").write_text("machine site.test login me password secret\n")
    environ = {
        **dict.fromkeys(names, proxy),
        "NO_PROXY": "",
        "HOME": str(cli.folder),
        "NETRC": str(cli.folder / ".netrc"),
    }
    watched = Watched(cli, environ=environ)
    assert watched.run("run").returncode == 0
    assert set(cli.ledger().values()) == {"captured"}
    assert watched.connected() == {("127.0.0.1", cli.site.http_port), ("127.0.0.1", cli.site.https_port)}
    assert caught.caught == []
    assert [seen.header("Authorization") for seen in cli.site.log] == [None] * len(cli.site.log)


def test_no_verb_but_run_and_fetch_opens_a_connection(cli: Cli, caught: Trap) -> None:
    html = (
        f"<title>Words</title><img src=http://site.test/i.png><p><a href=http://127.0.0.1:{caught.port}/>x</a>{WORDS}"
    )
    cli.site.reply("/a", headers={"Content-Type": "text/html"}, body=html.encode())
    url = cli.site.url("/a")
    cli.citing(url)
    watched = Watched(cli)
    assert watched.run("run").returncode == 0
    before = watched.noted()
    wacz = str(cli.folder / "out.wacz")
    verbs = [
        ["status"], ["show", url], ["search", "words"], ["check"], ["rebuild"], ["extract", "--all"], ["urls",
        "documents"],
        ["export", "--format", "wacz", "--output", wacz], ["import", wacz], ["replay", url],
        ["run", "--dry-run"],
    ]  # fmt: skip
    ended = {verb[0]: watched.run(*verb) for verb in verbs}
    assert {name: done.stderr for name, done in ended.items() if done.returncode} == {}
    assert watched.noted() == before
    assert caught.caught == []


# ------------------------------------------------------------- the guard alone


def test_what_is_global_does_not_depend_on_the_release_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(_: object) -> bool:
        raise AssertionError("asked of the standard library, which changes")

    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        for name in ("is_global", "is_private", "is_reserved", "is_multicast", "is_link_local", "is_unspecified"):
            monkeypatch.setattr(kind, name, property(no))
    assert is_global(ipaddress.ip_address("93.184.216.34")) is True
    assert is_global(ipaddress.ip_address("2606:2800:220:1::1")) is True
    assert is_global(ipaddress.ip_address("3fff::1")) is False  # Python 3.11.7 calls it global
    assert is_global(ipaddress.ip_address("127.0.0.1")) is False


@pytest.mark.parametrize(
    ("network", "inside"),
    [
        ("0.0.0.0/8", False), ("10.0.0.0/8", False), ("100.64.0.0/10", False), ("127.0.0.0/8", False),
        ("169.254.0.0/16", False), ("172.16.0.0/12", False), ("192.0.0.0/24", False), ("192.0.2.0/24", False),
        ("192.168.0.0/16", False), ("198.18.0.0/15", False), ("198.51.100.0/24", False), ("203.0.113.0/24", False),
        ("224.0.0.0/4", False), ("240.0.0.0/4", False), ("2001::/23", False), ("2001:db8::/32", False),
        ("3fff::/20", False), ("fc00::/7", False), ("fe80::/10", False), ("fec0::/10", False), ("ff00::/8", False),
        ("64:ff9b:1::/48", False), ("100::/64", False), ("5f00::/16", False), ("2002:a00::/24", False),
        ("1.0.0.0/8", True), ("2a00::/12", True), ("2400::/12", True), ("2620:4f:8000::/48", True),
        ("192.52.193.0/24", True), ("2002:808::/32", True),
    ],
)  # fmt: skip
def test_a_network_is_judged_alike_from_its_first_address_to_its_last(network: str, inside: bool) -> None:
    whole = ipaddress.ip_network(network)
    assert [is_global(whole[position]) for position in (0, 1, whole.num_addresses // 2, -1)] == [inside] * 4


def test_the_neighbours_of_a_special_network_stay_open() -> None:
    neighbours = [
        "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
        "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255",
        "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
        "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "2001:200::", "2001:db7:ffff::",
        "2001:db9::", "3ffe:ffff::1", "2a00::5efe:808:808", "64:ff9b::808:808",
    ]  # fmt: skip
    assert [address for address in neighbours if not is_global(ipaddress.ip_address(address))] == []


def test_a_response_that_leads_to_a_socket_file_or_a_path_leads_nowhere(site: Site) -> None:
    for number, place in enumerate(
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "file:///etc/passwd", "\\\\host\\share")
    ):
        site.reply(f"/{number}", status=302, headers={"Location": place})
        capture = fetch(site.settings(robots="ignore", max_tries=1), site.url(f"/{number}"))
        assert str(capture.outcome) in ("excluded(scheme)", "failed(dns)")
        assert len(capture.exchanges) == 1
