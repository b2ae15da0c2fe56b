"""User names and passwords of URLs are never sent, stored or printed; what a server wrote itself stays in the evidence.

The whole archive and all that was printed are searched, with every WARC unpacked.
"""

from __future__ import annotations

import gzip
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import foreign
import pytest
from cli import Cli
from fetching import fetch_all
from replaying import served
from server import Site

from scraper import urls
from scraper.errors import ConfigError
from scraper.model import Held, Visit
from scraper.settings import load

SECRET = "s3cr3t-w0rd"
USER = "us3r-nam3"
WHO = f"{USER}:{SECRET}@"


def told(folder: Path) -> dict[str, bytes]:
    """Every file below, unpacked where it is packed."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data for name, data in files.items()}


def leaks(data: bytes) -> bool:
    return SECRET.encode() in data or USER.encode() in data


def said(ended: subprocess.CompletedProcess[str]) -> str:
    return ended.stdout + ended.stderr


def test_no_user_name_nor_password_of_a_document_is_sent_stored_or_printed(cli: Cli) -> None:
    site = cli.site
    page = f'<title>Words</title><p><a href="http://{WHO}a.test/">x</a> and some words to be read in the page.</p>'
    site.reply("/a", headers={"Content-Type": "text/html"}, body=page.replace(WHO, "").encode())
    site.reply("/robots.txt", body=b"User-agent: *\nDisallow: /no\n")
    places = ["site.test/a", "site.test/no", "site.test/gone", "site.test:22/", "127.0.0.1/", "nowhere.test/", "[bad/"]
    cited = [f"{scheme}://{WHO}{place}" for scheme in ("http", "https") for place in places]
    cited += [f"ftp://{WHO}site.test/", f"http://{USER}@{SECRET}@site.test/a", f"http:\\\\{WHO}site.test\\a"]
    cli.document("\n".join(cited) + "\n", "list.urls")
    cli.document("".join(f"Original url: <{url}>\n\nSee {url} too.\n" for url in cited), "text.md")
    cli.document("".join(f'<p><a href="{url}">x</a>' for url in cited), "page.html")
    cli.settings |= {"max_tries": 1}
    good = site.url("/a")
    ended = [
        cli.run("run", "--verbose"), cli.run("run", "--json"), cli.run("run", "--dry-run"), cli.run("status"),
        cli.run("status", "--json"), cli.run("urls", "documents"), cli.run("urls", "documents", "--json"),
        cli.run("fetch", f"http://{WHO}site.test/a", "--json"), cli.run("fetch", f"http://{WHO}127.0.0.1/"),
        cli.run("fetch", f"ftp://{WHO}site.test/"), cli.run("fetch", f"http://{WHO}[bad/"), cli.run("show", good),
        cli.run("show", f"http://{WHO}site.test/a"), cli.run("show", f"http://{WHO}b.test/"), cli.run("check"),
        cli.run("replay", f"http://{WHO}site.test/a"), cli.run("rebuild"), cli.run("search", "words", "--json"),
        *(cli.run("export", "--format", kind, "--output", str(cli.archive / f"out.{kind}"))
          for kind in ("jsonl", "csv", "wacz")),
    ]  # fmt: skip
    assert [done.args[3] for done in ended if leaks(said(done).encode())] == []
    assert [done.args[3] for done in ended if "Traceback" in done.stderr] == []
    assert cli.ledger()[good] == "unchanged"  # fetched once more at the end
    assert [name for name, data in told(cli.archive).items() if leaks(data)] == []
    assert [seen.raw for seen in site.log if leaks(seen.raw) or seen.header("Authorization")] == []


def test_of_a_servers_own_words_only_the_evidence_keeps_them(cli: Cli) -> None:
    site = cli.site
    to = f"http://{WHO}site.test"
    site.reply("/moved", status=302, headers={"Location": f"{to}/a"})
    site.reply("/round", status=302, headers={"Location": f"{to}/round"})
    site.reply("/bad", status=302, headers={"Location": f"http://{WHO}[bad/"})
    site.reply("/ftp", status=302, headers={"Location": f"ftp://{WHO}site.test/"})
    site.reply("/soft", headers={"Content-Type": "text/html", "Refresh": f"0; url={to}/a"}, body=b"<p>moved")
    site.reply("/said", raw=f"HTTP/1.1 404 Look at {to}/a\r\nContent-Length: 0\r\n\r\n".encode())
    site.reply("/odd", raw=f"see {to}/a\r\n\r\n".encode(), close=True)
    html = f'<title>Words</title><base href="{to}/"><img src="i.png"><link rel=stylesheet href="{to}/s.css">'
    site.reply("/a", headers={"Content-Type": "text/html", "Link": f"<{to}/l.css>; rel=stylesheet"}, body=html.encode())
    site.reply("/s.css", headers={"Content-Type": "text/css"}, body=f"p {{ background: url({to}/b.png) }}".encode())
    for name in ("i", "b"):
        site.reply(f"/{name}.png", headers={"Content-Type": "image/png"}, body=b"\x89PNG")
    cli.capture.clear()
    cli.settings |= {"max_tries": 1}
    pages = [site.url(f"/{name}") for name in ("moved", "round", "bad", "ftp", "soft", "said", "odd", "a")]
    cli.citing(*pages)
    ended = [
        cli.run("run", "--verbose"), cli.run("status", "--json"), *(cli.run("show", url) for url in pages),
        *(cli.run("show", url, "--json") for url in pages), cli.run("search", "words", "--json"), cli.run("rebuild"),
        cli.run("export", "--format", "jsonl", "--output", str(cli.archive / "out.jsonl")),
    ]  # fmt: skip
    assert [done.args[3] for done in ended if leaks(said(done).encode())] == []
    assert "/i.png" in site.paths() and "/b.png" in site.paths()
    assert [seen.raw for seen in site.log if leaks(seen.raw)] == []
    files = told(cli.archive)
    assert {name.rpartition("/")[2].partition(".")[2] for name, data in files.items() if leaks(data)} == {"warc.gz"}
    for name, data in files.items():
        if name.endswith(".warc.gz"):
            # Of the records, only blocks that a server sent: no field of ours, no target, no `via`.
            records = data.split(b"WARC/1.1\r\n")[1:]
            assert [head for head in (record.partition(b"\r\n\r\n")[0] for record in records) if leaks(head)] == []
            kinds = {record.partition(b"WARC-Type: ")[2].split(b"\r\n")[0] for record in records if leaks(record)}
            assert kinds == {b"response", b"revisit"}


def test_what_other_tools_wrote_of_users_into_an_import_stays_in_their_file(cli: Cli) -> None:
    to, page = f"http://{WHO}e.example", foreign.page()
    sha1 = f"WARC-Payload-Digest: {foreign.sha1(page)}"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    records = [
        foreign.info(),
        foreign.record(foreign.http(page), f"{to}/a", sha1),
        foreign.record(foreign.http(page), f"<{to}/angle>"),
        foreign.record(foreign.http(b"", f"Location: {to}/a", status="HTTP/1.1 302 Found"), f"{to}/moved"),
        foreign.record(head, f"{to}/again", sha1, f"WARC-Refers-To-Target-URI: {to}/a", kind="revisit"),
        foreign.record(page, f"{to}/resource", kind="resource"),
        foreign.record(foreign.http(page), f"http://{WHO}[bad/"),
    ]
    names = ("a", "angle", "moved", "again", "resource", "wacz")
    (cli.folder / "x.warc.gz").write_bytes(foreign.members(records))
    (cli.folder / "torn.warc.gz").write_bytes(foreign.members(records)[:-40])
    inside = foreign.members([foreign.info(), foreign.record(foreign.http(page), f"{to}/wacz")])
    listed = [(f"{to}/wacz", "2019-09-09T12:03:00Z")]
    foreign.wacz(cli.folder / "x.wacz", {"y.warc.gz": inside}, listed, package={"title": f"A crawl of {to}/"})
    cli.citing("http://e.example/a")
    ended = [
        cli.run("import", "x.warc.gz"), cli.run("import", "x.wacz", "--json"), cli.run("import", "torn.warc.gz"),
        cli.run("import", "torn.warc.gz", "--salvage"), cli.run("status", "--json"), cli.run("check"),
        cli.run("rebuild"), cli.run("extract", "--all"), cli.run("search", "otters", "--json"),
        *(cli.run("show", f"{to}/{name}", "--json") for name in names),
        *(cli.run("replay", f"{to}/{name}", "--as", form) for name in names for form in ("page", "text", "json")),
        *(cli.run("export", "--format", kind, "--output", f"out.{kind}") for kind in ("jsonl", "csv")),
    ]  # fmt: skip
    assert [done.args[3:] for done in ended if leaks(said(done).encode())] == []
    assert [done.args[3:] for done in ended if "Traceback" in done.stderr] == []
    assert [done.args[3:] for done in ended if done.returncode not in (0, 2, 5)] == []
    assert [kind for kind in ("jsonl", "csv") if leaks((cli.folder / f"out.{kind}").read_bytes())] == []
    kept = {name.rpartition("/")[2].partition(".")[2] for name, data in told(cli.archive).items() if leaks(data)}
    assert kept == {"warc.gz"}
    with served(cli.archive) as server:
        views = ("id_", "mp_", "", "/text", "/fields", "/raw")
        asked = [
            f"/-/capture/imported/20190909120300{view}/{to}/{name}" if "/" in view else
            f"/imported/20190909120300{view}/{to}/{name}" for name in names for view in views
        ]  # fmt: skip
        asked += ["/", "/-/search?q=otters", "/imported/cdx?url=e.example&matchType=domain"]
        asked += [f"/-/captures/imported/{to}/a", f"/imported/timemap/link/{to}/a", f"/imported/timemap/json/{to}/a"]
        replies = {path: server.ask(path) for path in asked}
    assert [path for path, reply in replies.items() if leaks(reply.body + repr(reply.headers).encode())] == []
    assert sum(reply.status == 200 for reply in replies.values()) > len(names) * 4


def test_a_host_that_fails_over_tls_is_told_of_without_the_user(cli: Cli) -> None:
    cli.settings |= {"max_tries": 1, "ca_file": ""}  # nobody vouches for the server's certificate
    cited = [f"https://{WHO}site.test/a", f"https://{WHO}a.test:443/", f"https://{USER}@b.test/"]
    cli.site.reply("/to-tls", status=302, headers={"Location": f"https://{WHO}site.test/b"})
    cli.citing(*cited, cli.site.url("/to-tls"))
    ended = [cli.run("run", "--verbose"), cli.run("run", "--json", "--verbose"), cli.run("status", "--json")]
    ended += [cli.run("status"), *(cli.run("fetch", url) for url in cited), cli.run("urls", "documents", "--json")]
    ended += [cli.run("show", url) for url in cited]
    assert {state for url, state in cli.ledger().items()} == {"failed(tls)"}
    assert [done.args[3] for done in ended if leaks(said(done).encode()) or "Traceback" in done.stderr] == []
    assert [name for name, data in told(cli.archive).items() if leaks(data)] == [
        name for name in told(cli.archive) if name.endswith(".warc.gz") and b"to-tls" in told(cli.archive)[name]
    ]
    assert [seen.raw for seen in cli.site.log if leaks(seen.raw)] == []


def test_nothing_foreign_puts_a_header_into_a_request(site: Site) -> None:
    site.reply("/a", body=b"x")
    evil = 'W/"x"\r\nX-Evil: 1'
    held = Held(
        site.url("/a"),
        datetime(2024, 1, 1, tzinfo=UTC),
        "sha1:X",
        "0" * 64,
        evil,
        "Mon, 01 Jan 2024 00:00:00 GMT\nX-Evil: 1",
    )
    fetch_all(
        site.settings(), [Visit(urls.target(site.url("/a")), held), site.url("/b%0d%0aX-Evil:%201?a=\r\nX-Evil: 1")]
    )
    site.reply("/r", raw=b"HTTP/1.1 302 x\r\nLocation: /c\rX-Evil: 1\r\n y: 2\r\nContent-Length: 0\r\n\r\n")
    fetch_all(site.settings(), [site.url("/r")])
    names = {line.partition(b":")[0] for seen in site.log for line in seen.raw.split(b"\r\n")[1:] if line}
    assert names == {b"Host", b"User-Agent", b"Accept", b"Accept-Encoding"}
    assert not any(b"\n" in line or b"\r" in line for seen in site.log for line in seen.raw.split(b"\r\n"))


@pytest.mark.parametrize("contact", ["me@x.org\r\nX-Evil: 1", "me\nx", "me\0x", "mé@x.org"])
def test_a_contact_that_cannot_stand_in_a_header_is_refused(contact: str, tmp_path: Path) -> None:
    config = tmp_path / "scraper.toml"
    config.write_text("", "utf-8")
    with pytest.raises(ConfigError, match="contact"):
        load(config, environ={"SCRAPER_CONTACT": contact})


def test_no_escape_of_a_server_or_a_document_reaches_the_terminal_raw(cli: Cli) -> None:
    nasty = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    html = f"<title>T{nasty}</title><meta name=author content='{nasty}'><h1>H{nasty}</h1>" + "<p>Some words.</p>" * 9
    cli.site.reply("/a", headers={"Content-Type": "text/html; charset=utf-8"}, body=html.encode())
    reason = b"HTTP/1.1 500 \x1b[31mred\x9b\r\nX: \x1b[2J\r\nContent-Length: 0\r\n\r\n"
    cli.site.reply("/b", raw=reason)
    cli.site.reply("/c", raw=b"HTTP/1.1 302 x\r\nLocation: gopher://x/\x1b[31m\r\nContent-Length: 0\r\n\r\n")
    cli.settings |= {"max_tries": 1}
    cli.citing(*(cli.site.url(path) for path in ("/a", "/b", "/c")))
    cli.document(f"http://a.test/{nasty}x\nftp://b.test/{nasty}\n", "odd\x1b[31m.urls")
    url = cli.site.url("/a")
    ended = [cli.run("run", "--verbose"), cli.run("status"), cli.run("show", url), cli.run("search", "words")]
    ended += [cli.run("urls", "documents"), cli.run("fetch", cli.site.url("/b")), cli.run("status", "--json")]
    for done in ended:
        assert [sign for sign in ("\x1b", "\x07", "\x9b", "\u202e") if sign in said(done)] == [], done.args[3]
