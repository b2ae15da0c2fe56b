"""Our answers against pywb's, over the same archive: CDX lines, raw mementos, TimeMaps."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from replaying import Reply, Server, served
from test_oracles import archive, oracles, wayback  # noqa: F401  (fixtures: the archive, pywb, pywb serving it)

pytestmark = pytest.mark.oracle
FIELDS = ("urlkey", "timestamp", "url", "mime", "status", "digest", "length", "offset", "filename")
QUERIES = [
    "url=http://a.example/chunked",
    "url=a.example/chunked",
    "url=https://www.a.example/chunked",
    "url=http://a.example/plain?a=1%26b=2",
    "url=http://a.example/&matchType=host",
    "url=a.example&matchType=domain",
    "url=example&matchType=domain",
    "url=*.example",
    "url=b.example/*",
    "url=b.example/no&matchType=prefix",
    "url=http://k.example/x?&matchType=prefix",
    "url=k.example/x/&matchType=prefix",
    "url=k.example&matchType=host&limit=3",
    "url=a.example/*&from=20260505",
    "url=a.example/*&to=20260504",
    "url=a.example/*&from=20260504030201&to=20260504030201",
    "url=a.example/*&sort=reverse",
    "url=a.example/*&sort=reverse&limit=2",
    "url=a.example/chunked&closest=20260505000000",
    "url=a.example/*&filter=mime:revisit",
    "url=a.example/*&filter=!mime:revisit",
    "url=a.example/*&filter==status:200",
    "url=none.example/*",
    "url=http://[2001:db8::1]:8080/new;x?q",
    "url=192.0.2.1/*",
]


@pytest.fixture(scope="module")
def ours(archive: Path) -> Iterator[Server]:  # noqa: F811
    with served(archive) as server:
        yield server


def ask(base: str, path: str, headers: dict[str, str] | None = None) -> Reply:
    """One request to pywb, nothing followed."""
    host, _, rest = base.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("GET", f"/{rest}{path}", headers=headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def lines(reply: Reply) -> list[dict[str, str]]:
    assert reply.status == 200, reply.body
    found = [json.loads(line) for line in reply.text.splitlines()]
    return [{name: line[name] for name in FIELDS if name in line} for line in found]


@pytest.mark.parametrize("query", QUERIES)
def test_cdx_lines_are_pywbs(ours: Server, wayback: str, query: str) -> None:  # noqa: F811
    theirs = lines(ask(wayback, f"/cdx?output=json&{query}"))
    assert lines(ours.ask(f"/main/cdx?output=json&{query}")) == theirs


@pytest.mark.parametrize("query", ["url=a.example/*&fl=url,timestamp,status,none", "url=b.example/*&fields=urlkey"])
@pytest.mark.parametrize("form", ["", "&output=json"])
def test_chosen_fields_are_written_as_pywb_writes_them(ours: Server, wayback: str, query: str, form: str) -> None:  # noqa: F811
    assert ours.ask(f"/main/cdx?{query}{form}").body == ask(wayback, f"/cdx?{query}{form}").body


def every_line(ours: Server) -> list[dict[str, str]]:
    hosts = ["url=example&matchType=domain", "url=com&matchType=domain", "url=org&matchType=domain", "url=192.0.2.1/*"]
    return [line for query in hosts for line in lines(ours.ask(f"/main/cdx?output=json&{query}"))]


def test_every_raw_memento_is_pywbs(ours: Server, wayback: str) -> None:  # noqa: F811
    compared = 0
    for line in every_line(ours):
        if not re.fullmatch(r"[245]\d\d", line.get("status") or "") and line.get("mime") != "warc/revisit":
            continue  # redirects: pywb lets them lead out of the archive, which the next test shows
        if line["url"].startswith("http://torn.example/"):
            continue  # no HTTP responses: pywb makes an answer up, we say so
        path = f"/{line['timestamp']}id_/{line['url']}"
        mine, theirs = ours.ask(f"/main{path}"), ask(wayback, path)
        compared += 1
        for name in ("memento-datetime", "content-type", "content-encoding"):
            assert (line["url"], name, mine.headers.get(name)) == (line["url"], name, theirs.headers.get(name) or None)
        assert (line["url"], mine.status, mine.body) == (line["url"], theirs.status, theirs.body)
    assert compared > 20


def test_a_redirect_stays_in_the_archive_where_pywbs_raw_one_leaves_it(ours: Server, wayback: str) -> None:  # noqa: F811
    url = "https://www.example.com:8443/Old%20Path/?Z=1&a=%C3%A9"
    mine = ours.ask(f"/main/20260504030201id_/{url}")
    theirs = ask(wayback, f"/20260504030201id_/{url}")
    assert (mine.status, theirs.status) == (301, 301)
    assert mine.headers.get("location", ours.base).startswith(ours.base)


MEMENTO = re.compile(r'<http://[^/]*/main/(\d{14})(?:[a-z]{2}_)?/([^>]*)>; rel="[^"]*memento"; datetime="([^"]*)"')


@pytest.mark.parametrize(
    "url", ["http://a.example/chunked", "http://a.example/plain?b=2&a=1", "b.example/copy", "http://192.0.2.1/gone"]
)
def test_timemaps_list_what_pywbs_list(ours: Server, wayback: str, url: str) -> None:  # noqa: F811
    mine = MEMENTO.findall(ours.ask(f"/main/timemap/link/{url}").text)
    theirs = MEMENTO.findall(ask(wayback, f"/timemap/link/{url}").text)
    assert mine == theirs
    assert mine


@pytest.mark.parametrize("stamp", ["1999", "20260504120000", "20260505", "20260505030200", "2030", "2026"])
@pytest.mark.parametrize("url", ["http://a.example/chunked", "http://a.example/plain?b=2&a=1"])
def test_the_nearest_memento_is_pywbs(ours: Server, wayback: str, stamp: str, url: str) -> None:  # noqa: F811
    path = f"/{stamp}id_/{url}"
    mine, theirs = ours.ask(f"/main{path}"), ask(wayback, path)
    assert mine.headers["memento-datetime"] == theirs.headers["memento-datetime"]


def test_a_day_means_a_capture_of_that_day_where_pywb_takes_the_one_nearest_to_its_end(
    ours: Server,
    wayback: str,  # noqa: F811
) -> None:
    path = "/20260504id_/http://a.example/chunked"
    assert ours.ask(f"/main{path}").headers["memento-datetime"] == "Mon, 04 May 2026 03:02:01 GMT"
    assert ask(wayback, path).headers["memento-datetime"] == "Tue, 05 May 2026 03:02:01 GMT"


@pytest.mark.parametrize(
    "wish", ["Mon, 04 May 2026 05:00:00 GMT", "Tue, 05 May 2026 03:02:01 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", None]
)
def test_the_timegate_chooses_as_pywbs_does(ours: Server, wayback: str, wish: str | None) -> None:  # noqa: F811
    headers = {"Accept-Datetime": wish} if wish else {}
    mine = ours.ask("/main/http://a.example/chunked", headers)
    theirs = ask(wayback, "/mp_/http://a.example/chunked", headers)
    assert mine.status == 302
    assert f"/main/{_stamp(theirs)}/" in mine.headers["location"]


def _stamp(reply: Reply) -> str:
    found = re.search(r"/main/(\d{14})", reply.headers["link"])
    assert found, reply.headers
    return found[1]
