"""The demonstration: the real job, offline, over the sample documents."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import scraper
from scraper import citations, demo, pipeline, report
from scraper.demo import show
from scraper.demo.server import Reply, Request, StandInWeb
from scraper.demo.web import moscow_page, source
from scraper.errors import UsageError
from scraper.model import Facts, Link
from scraper.settings import Settings, packaged_config
from scraper.state import StateFile

SEED_URL = (
    "https://www.themoscowtimes.com/2019/09/09/"
    "france-says-eu-and-russia-must-rebuild-trust-but-too-early-to-end-sanctions-a67209"
)
TABLES_URL = "https://data.example.com/reports/tide-tables-2021.pdf"


@dataclass(frozen=True)
class Shown:
    """What two demonstrations in a row gave and said."""

    root: Path
    codes: tuple[int, int]
    said: tuple[str, str]


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    root = tmp_path_factory.mktemp("demo") / "archive"
    settings = Settings(sites=str(packaged_config() / "sites"))
    codes, said = [], []
    for _ in range(2):
        lines: list[str] = []
        codes.append(demo.run(settings, root, lines.append))
        said.append("\n".join(lines))
    return Shown(root, (codes[0], codes[1]), (said[0], said[1]))


def ledger(shown: Shown) -> list[str]:
    with StateFile.open_for_reading(shown.root) as state:
        return show.ledger_lines(state)


def facts_of_the_page(shown: Shown, url: str) -> Facts:
    with StateFile.open_for_reading(shown.root) as state:
        markdown = report.show(state, shown.root, url).markdown
    assert markdown is not None
    return citations.read_document(markdown.encode(), "page.md").facts


def test_the_demonstration_comes_out_as_it_has_to(demonstrated: Shown) -> None:
    assert demonstrated.codes == (0, 0), demonstrated.said[0]
    assert "not as it should be" not in demonstrated.said[0]


def test_the_second_demonstration_fetches_nothing(demonstrated: Shown) -> None:
    assert "the stand-in web was asked" in demonstrated.said[0]
    assert "Nothing was due and nothing was fetched" in demonstrated.said[1]
    assert "was asked" not in demonstrated.said[1]


def test_the_ledger_tells_of_every_kind_of_end(demonstrated: Shown) -> None:
    states = {line.split()[0] for line in ledger(demonstrated)}
    assert {
        "captured",
        "dead(404)",
        "excluded(robots)",
        "excluded(role)",
        "excluded(scheme)",
        "excluded(address)",
    } <= states


def test_the_page_gives_the_facts_which_the_seed_document_kept(demonstrated: Shown) -> None:
    facts = facts_of_the_page(demonstrated, SEED_URL)
    assert facts.title == "France Says EU and Russia Must Rebuild Trust But Too Early to End Sanctions"
    assert facts.byline == "Reuters"
    assert facts.agency == "Reuters"
    assert facts.authors == ()
    assert facts.published is not None
    assert facts.published.iso() == "2019-09-09"
    assert facts.caption == "Jean-Yves Le Drian"
    assert facts.credit == "Ministre de la Défense / Flickr"


def test_the_page_gives_the_paragraphs_which_the_seed_document_kept(demonstrated: Shown) -> None:
    kept = citations.read_document(show.seed_path().read_bytes(), show.SEED).facts
    facts = facts_of_the_page(demonstrated, SEED_URL)
    assert len(kept.paragraphs) == 9
    assert kept.paragraphs[0].startswith("France's foreign minister said on Monday")
    assert kept.paragraphs[-1].endswith("following weeks of protests in Moscow.")
    assert facts.paragraphs == kept.paragraphs
    assert [link.title for link in facts.related] == [
        "Signaling Readiness for Thaw, Russia and Ukraine Swap Prisoners",
        "Russian Isolation Would Be Europe's 'Profound Error,' France's Macron Says",
    ]


def test_another_document_in_the_same_form_agrees_with_its_page(demonstrated: Shown) -> None:
    comet = source((show.documents_folder() / show.COMET).read_bytes(), show.COMET)
    facts = facts_of_the_page(demonstrated, comet.original)
    assert facts.authors == ("Ilse Marant", "Tobias Okafor")
    assert facts.paragraphs == comet.document.facts.paragraphs
    assert len(facts.paragraphs) == 5


def test_an_archive_of_the_users_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "collections/main").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"an archive of your own \(main\); name another folder"):
        demo.run(Settings(), tmp_path, [].append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["collections"]


def test_a_signal_ends_the_demonstration_with_its_exit_code(tmp_path: Path) -> None:
    said: list[str] = []
    assert demo.run(Settings(), tmp_path / "archive", said.append, pipeline.Stop(signal_number=15)) == 143
    assert "The ledger" not in "\n".join(said)


def test_without_its_extra_the_demonstration_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(UsageError, match=r"pip install 'scraper\[demo\]'"):
        demo.run(Settings(), tmp_path / "archive", [].append)


def test_the_demonstration_says_which_citation_differs() -> None:
    differences = list(show.ledger_differences(["dead(410) here"]))
    assert differences[0] == "not expected: dead(410) here"
    assert any(line.startswith("missing: captured") for line in differences[1:])


def test_the_demonstration_says_which_fact_differs() -> None:
    kept = Facts(title="Ice", related=(Link("Snow"),))
    page = (
        b"# Water\n\n**Related article:** [Snow](https://example.org/snow)\n\nOriginal url:\n\n<https://example.org/>\n"
    )
    assert list(show.facts_differences(kept, page.decode())) == [
        "the article's title is 'Water', the document says 'Ice'"
    ]
    assert list(show.facts_differences(kept, None)) == ["missing: the article's text"]


def test_the_page_gives_the_same_without_the_rules_for_its_site() -> None:
    seed = source(show.seed_path().read_bytes(), show.SEED)
    article, facts = scraper.extract(moscow_page(seed), seed.original), seed.document.facts
    assert (article.title, article.byline, article.agency) == (facts.title, "Reuters", "Reuters")
    assert tuple(article.text.split("\n\n")) == facts.paragraphs


def test_a_page_behind_a_redirect_gives_its_text_without_the_furniture(demonstrated: Shown) -> None:
    facts = facts_of_the_page(demonstrated, "http://old.courier.example.org/story.php?id=4417")
    assert facts.title == "The last three cranes of Lindholm harbour stay where they are"
    assert len(facts.paragraphs) == 5
    assert facts.paragraphs[0].startswith("The three harbour cranes on the old timber quay")
    assert facts.paragraphs[-1].endswith("the colour of the light at the harbour mouth.")
    assert not any("Advertisement" in text or "Share" in text for text in facts.paragraphs)


def test_a_capture_can_be_removed_as_readme_tells(demonstrated: Shown, tmp_path: Path) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    script = re.findall(r"^```python\n(# remove\.py.*?)^```$", readme, re.MULTILINE | re.DOTALL)[0]
    root = tmp_path / "archive"
    shutil.copytree(demonstrated.root, root)
    (warc,) = (root / "collections/demo/archive").glob("*.warc.gz")
    subprocess.run([sys.executable, "-c", script, str(warc), TABLES_URL], check=True, timeout=120)
    Path(f"{warc}.new").rename(warc)
    Path(f"{warc}.sha256").write_text(f"{hashlib.sha256(warc.read_bytes()).hexdigest()}  {warc.name}\n")
    shutil.rmtree(root / "collections/demo/text")
    pipeline.rebuild(root, Settings(), pipeline.Listener(), pipeline.Stop())
    assert list(pipeline.check(root)) == []
    with StateFile.open_for_reading(root) as state:
        held = {str(row["href"]) for row in report.citations(state) if row["captured_at"]}
    assert TABLES_URL not in held
    assert len(held) == 6


# ------------------------------------------------------------ the stand-in web


def test_the_page_carries_the_documents_text_in_its_order() -> None:
    page = moscow_page(source(show.seed_path().read_bytes(), show.SEED)).decode()
    places = [
        page.index(text) for text in ("swapped dozens", "Signaling Readiness", "The time has come", "Russian Isolation")
    ]
    assert "$" not in page
    # The picture's furniture repeats the lead: the places are those in the article's content.
    assert places == sorted(places)


def test_the_seeds_text_is_stored_once() -> None:
    package = Path(demo.__file__).parent
    holding = [path for path in package.rglob("*") if path.is_file() and b"mutual distrust" in path.read_bytes()]
    assert holding == []


@pytest.fixture
def web() -> Iterator[StandInWeb]:
    def answer(request: Request) -> Reply:
        page = b"<p>Nine inches.</p>" * 40
        if request.path == "/chunked":
            return Reply(body=page, chunked=True)
        return Reply(body=page, etag='"ice"') if request.path == "/" else Reply(404)

    with StandInWeb(answer, ["lake.example.org"]) as web:
        yield web


def port_of(web: StandInWeb, cited: int) -> int:
    override = next(line for line in web.overrides if line.startswith(f"lake.example.org:{cited}="))
    return int(override.rpartition(":")[2])


def test_the_stand_in_web_keeps_a_connection_for_several_requests(web: StandInWeb) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port_of(web, 80), timeout=30)
    bodies = []
    for path in ("/", "/chunked", "/none"):
        client.request("GET", path, headers={"Host": "lake.example.org"})
        bodies.append(client.getresponse().read())
    client.close()
    assert bodies == [b"<p>Nine inches.</p>" * 40, b"<p>Nine inches.</p>" * 40, b""]
    assert [(line.url, line.status) for line in web.log] == [
        ("http://lake.example.org/", 200),
        ("http://lake.example.org/chunked", 200),
        ("http://lake.example.org/none", 404),
    ]


def test_the_stand_in_web_compresses_and_confirms(web: StandInWeb) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port_of(web, 80), timeout=30)
    client.request("GET", "/", headers={"Host": "lake.example.org", "Accept-Encoding": "gzip"})
    first = client.getresponse()
    body = first.read()
    client.request("GET", "/", headers={"Host": "lake.example.org", "If-None-Match": first.headers["ETag"]})
    second = client.getresponse()
    second.read()
    client.close()
    assert gzip.decompress(body) == b"<p>Nine inches.</p>" * 40
    assert (first.status, second.status) == (200, 304)


def test_the_stand_in_web_proves_its_name_by_its_own_authority(web: StandInWeb) -> None:
    client = http.client.HTTPSConnection(
        "127.0.0.1", port_of(web, 443), timeout=30, context=named("lake.example.org", web.ca_file)
    )
    client.request("GET", "/", headers={"Host": "lake.example.org"})
    assert client.getresponse().read() == b"<p>Nine inches.</p>" * 40
    client.close()
    assert web.log[-1].url == "https://lake.example.org/"


def named(host: str, ca_file: str) -> ssl.SSLContext:
    """A client's context that asks for, and checks, this name whatever the address."""

    class Named(ssl.SSLContext):
        def wrap_socket(self, sock, *_args, **_kwargs):  # type: ignore[no-untyped-def]
            return super().wrap_socket(sock, server_hostname=host)

    context = Named(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context


def test_what_is_no_request_gets_a_400_and_the_end_of_the_connection(web: StandInWeb) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port_of(web, 80), timeout=30)
    client.request("POST", "/", headers={"Host": "lake.example.org"})
    answer = client.getresponse()
    answer.read()
    client.close()
    assert (answer.status, answer.headers["Connection"]) == (400, "close")
