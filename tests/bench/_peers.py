"""The peers: programs as their users would write them, run in an environment of their own.

Each is called as `python PROGRAM LIST OUT CA`, fetches the URLs of a list, 32 at a time and one at a time a host, and
writes OUT.warc.gz. None obeys robots.txt, none waits between requests; all ask for gzip.
"""

from __future__ import annotations

import subprocess
import venv
from functools import cache
from pathlib import Path

PACKAGES = ["scrapy", "warcio", "httpx", "trafilatura", "lxml_html_clean"]

_SCRAPY = """
import sys
from io import BytesIO

import scrapy
from scrapy.crawler import CrawlerProcess
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

LIST, OUT = sys.argv[1:3]


class WarcPipeline:
    def open_spider(self, spider=None):
        self.file = open(OUT + ".warc.gz", "wb")
        self.writer = WARCWriter(self.file, gzip=True)

    def process_item(self, item, spider=None):
        response = item["response"]
        lines = [(k.decode("latin-1"), v.decode("latin-1")) for k, vs in response.headers.items() for v in vs]
        head = StatusAndHeaders(f"{response.status} OK", lines, protocol="HTTP/1.1")
        record = self.writer.create_warc_record(
            response.url, "response", payload=BytesIO(response.body), http_headers=head,
            warc_headers_dict={"WARC-IP-Address": str(response.ip_address)},
        )
        self.writer.write_record(record)
        return item

    def close_spider(self, spider=None):
        self.file.close()


class TextPipeline:
    def open_spider(self, spider=None):
        self.file = open(OUT + ".jsonl", "w", encoding="utf-8")

    def process_item(self, item, spider=None):
        import json
        from trafilatura import bare_extraction

        found = bare_extraction(item["response"].body, url=item["response"].url, with_metadata=True)
        self.file.write(json.dumps(found.as_dict() if found else None, default=str) + "\\n")
        return item

    def close_spider(self, spider=None):
        self.file.close()


class Pages(scrapy.Spider):
    name = "pages"

    async def start(self):
        for line in open(LIST):
            yield scrapy.Request(line.strip(), dont_filter=True)

    def parse(self, response):
        yield {"response": response}


pipelines = {WarcPipeline: 300}
if "text" in sys.argv[4:]:
    pipelines[TextPipeline] = 400
# Bodies stay as they were sent only without this middleware, and evidence is what was sent; text needs them unpacked.
middlewares = {} if "text" in sys.argv[4:] else {
    "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": None
}
process = CrawlerProcess({
    "ITEM_PIPELINES": pipelines, "DOWNLOADER_MIDDLEWARES": middlewares, "LOG_LEVEL": "WARNING",
    "CONCURRENT_REQUESTS": 32, "CONCURRENT_REQUESTS_PER_DOMAIN": 1, "DOWNLOAD_DELAY": 0, "ROBOTSTXT_OBEY": False,
    "TELNETCONSOLE_ENABLED": False, "DEFAULT_REQUEST_HEADERS": {"Accept": "text/html", "Accept-Encoding": "gzip"},
})
process.crawl(Pages)
process.start()
"""

_HTTPX = """
import asyncio
import ssl
import sys
from io import BytesIO

import httpx
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

LIST, OUT, CA = sys.argv[1:4]


async def main():
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
    verify = ssl.create_default_context(cafile=CA) if CA != "-" else True
    urls = iter(open(LIST).read().split())
    with open(OUT + ".warc.gz", "wb") as file:
        writer = WARCWriter(file, gzip=True)
        async with httpx.AsyncClient(limits=limits, verify=verify, headers={"Accept-Encoding": "gzip"}) as client:

            async def work():
                for url in urls:
                    async with client.stream("GET", url) as response:
                        body = b"".join([part async for part in response.aiter_raw()])
                    lines = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in response.headers.raw]
                    head = StatusAndHeaders(f"{response.status_code} {response.reason_phrase}", lines, "HTTP/1.1")
                    record = writer.create_warc_record(url, "response", payload=BytesIO(body), http_headers=head)
                    writer.write_record(record)

            await asyncio.gather(*(work() for _ in range(32)))


asyncio.run(main())
"""


@cache
def python() -> Path:
    """The peers' interpreter; their environment is made if it is not there."""
    folder = Path.home() / ".cache" / "scraper-oracles" / "peers"
    found = folder / "bin" / "python"
    if not found.exists():
        venv.create(folder, with_pip=True)
    if subprocess.run([str(found), "-c", "import scrapy, warcio, httpx, trafilatura"], capture_output=True).returncode:
        subprocess.run([str(found), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return found


def commands(folder: Path, names: Path, authority: Path | None) -> dict[str, list[str]]:
    """What to call for each peer, in a folder that holds their programs; `names` is the list of URLs."""
    scrapy, httpx = folder / "peer_scrapy.py", folder / "peer_httpx.py"
    scrapy.write_text(_SCRAPY)
    httpx.write_text(_HTTPX)
    ca, given = str(authority) if authority else "-", [str(names), "out"]
    wget = ["wget", "--quiet", "--warc-file=out", "--delete-after", "--tries=1", "--compression=auto"]
    wget += [f"--ca-certificate={ca}"] if authority else []
    return {
        "Scrapy + warcio": [str(python()), str(scrapy), *given, ca],
        "wget --warc-file": [*wget, "-i", str(names)],
        "httpx + warcio": [str(python()), str(httpx), *given, ca],
        "Scrapy + warcio + trafilatura": [str(python()), str(scrapy), *given, ca, "text"],
    }
