# ruff: noqa: E501 - messages and pages read best unbroken
"""What fuzzing starts from: small, whole examples of every kind of input, and the tokens their grammars are made of."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime

from scraper.archiver import members, records
from scraper.archiver.records import Record

MARKDOWN = """# A *title* with [a link](http://a.example/x_(y) "t") and `code`

By [Anna Berg](#), Reuters

September 09, 2019

![cap](http://i.example/p.jpg) / Flickr

Original: <https://user:secret@e.example:8080/p?q=1&amp;r=2#f> and hxxp://bad[.]example/x, www.three.example.

> quoted http://q.example/a
> b

* item **http://b.example/**.
[ref]: http://r.example/long
  "title"

**Related article:** [Other](#) see [ref] [x][ref] <a href='http://h.example/?a=b'>t</a>
"""

DOCUMENTS = (
    b"\x00" + MARKDOWN.encode(),
    b"\x01See http://e.example/a and\nhttps://e.example/(b), \xe2\x80\x9chttp://e.example/c\xe2\x80\x9d; ftp://x.example\n",
    b"\x02---\ntitle: T\nsource: http://e.example/\ndate: 2020-01-02\n---\n" + MARKDOWN.encode(),
    b'\x03<!doctype html><!-- saved from url=(0019)http://e.example/a --><html><head><base href="http://b.example/x/"><link rel=canonical href=c>'
    b'<title>T</title></head><body><p>By <b>Ann</b> <a href="../d?x=1&amp;y=2">t</a><img src=i.png><script>"http://no.example/"</script></body></html>',
    b'\x04{"url": "http://e.example/", "nested": [{"source_url": "http://f.example/\\u00e9"}, "text http://g.example"], "n": 1e9}',
    b'\x05{"url": "http://e.example/"}\n{"link": "http://f.example/", "related": ["http://g.example/"]}\n',
    b'\x06name;url;related\n"a ""q""";http://e.example/;"http://f.example/\nx"\n',
    b"\x07# list\nhttp://e.example/\n- <http://f.example/> # why\n[InternetShortcut]\nURL=http://g.example/\n",
    b"\x01" + gzip.compress(b"http://e.example/in-gzip", mtime=0),
    b"\x01" + "http://e.example/utf-16 ü".encode("utf-16"),
)
DOCUMENT_TOKENS = (
    b"http://", b"https://", b"www.", b"hxxps", b"[.]", b"](", b"[", b"]", b"(", b")", b"<", b">", b'"', b"'", b"**", b"_", b"`", b"```\n",
    b"\n\n", b"\n> ", b"\r\n", b"\r", b"# ", b"---\n", b"===\n", b"&amp;", b"&#x26;", b"@", b"user:pw@", b":", b"//", b"\\", b"%", b"#", b"?",
    b"\xe2\x80\x9c", b"\xe3\x80\x82", b"\xc2\xa0", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"By ", b"Related article:", b"Original:", b"Photo: ",
    b"{", b"}", b'":', b",", b";", b"\t", b"|", b"<!--", b"-->", b"<a href=", b"<script>", b"</script>", b"</", b"[ref]: ", b"![", b"1. ", b"* ",
    b"xn--", b"\xe2\x80\xae", b"\xed\xa0\x80", b".", b"..", b"/", b"\x1b[", b"mailto:", b"javascript:", b"e.example", b"September 9, 2019", b"&",
)  # fmt: skip

ROBOTS = (
    b"/x/y?z=%2F*$\nUser-agent: *\nDisallow: /x\nAllow: /x/*.html$\n",
    b"/a%62c\n\xef\xbb\xbfUser-Agent: scraper\nUser-agent: other\nSitemap: http://e.example/s.xml\nCrawl-delay: 2.5\n\nDisallow: /a%62c\nAllow: /a#c\n",
    b"/\ruser-agent:scraper\rdisallow /\rallow: /$\r\ruser agent *\rdissallow:/\r",
    b"/index.html\n<!doctype html><html><p>Disallow: all</p></html>\n",
    b"/q?u=http://b.example/\nuser-agent: Scraper/2.0\ndisallow: /q?u=http%3A%2F%2Fb.example\ncrawl-delay: 1,5 s\n",
)
ROBOTS_TOKENS = (
    b"user-agent:", b"User-Agent: *", b"scraper", b"disallow:", b"Allow: ", b"crawl-delay:", b"*", b"$", b"/", b"%2A", b"%24", b"%2f", b"%", b"#",
    b"\n", b"\r", b"\r\n", b" ", b"\t", b":", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xe3\x83\x84", b"?", b"=", b"Sitemap: x\n", b"**", b"a", b"1e9",
)  # fmt: skip

HEADS = (
    b"\x00HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello",
    b"\x01HTTP/1.1 301 Moved\r\nLocation: //b.example/%20 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nT: v\r\n\r\n",
    b"\x02HTTP/1.0 429 Slow\nRetry-After: Wed, 21 Oct 2025 07:28:00 GMT\nX-Fold: a\n  b\nRefresh: 0; url='x'\n\nbody",
    b"\x00HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello " * 9, mtime=0),
    b"\x03HTTP/1.1 503\r\nRetry-After: 120\r\n Empty: \r\n: v\r\nNo Colon\r\nCaf\xe9: \xff\r\n\r\n",
    b'\x04HTTP/2 200\r\nContent-Type: text/html\r\n\r\n<!doctype html><noscript><meta http-equiv="refresh" content="1"></noscript><meta http-equiv=refresh content="0;URL=../a?b">',
    b"\x05HTTP/1.1 200 OK\r\nContent-Type: text/css\r\n\r\n@import 'a.css' screen; p{background:u\\72l(x.png)}@font-face{src:url(f.woff2) format('woff2')}@media print{i{background:url(y)}}",
    b"\x00HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<base href=/b/><link rel='icon stylesheet' href=s media='(min-width: 9px)'><picture><source srcset='a 1x, b 2x'><img src=c srcset='d 100w,e 2000w' sizes='(max-width:9em) 5vw,99px'></picture><style>i{background:url(z)}</style>",
    b"\x00ICY 200 OK\r\n\r\n", b"\x00<html>no head at all</html>", b"\x00HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
)  # fmt: skip
HEAD_TOKENS = (
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 ", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b": ", b":", b" ", b"\t", b"\r\n ", b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate, gzip\r\n", b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Location: ", b"Refresh: 0;url=", b"Retry-After: 99999999999", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"5\r\n", b";x=", b"\x00", b"\xff", b"\x1f\x8b\x08\x00",
    b"<meta http-equiv=refresh content=", b"url(", b"@import ", b"/*", b"*/", b"{", b"}", b"'", b'"', b"\\", b"<style>", b"</style>", b"srcset=", b"1x,", b"<", b">", b"<!--",
)  # fmt: skip

PAGE = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>T - S</title>
<link rel="canonical" href="/a/story"><meta property="og:title" content="T &amp; U"><meta name="author" content="Ann Lee">
<meta property="article:published_time" content="2020-02-03T04:05:06+01:00">
<script type="application/ld+json">{"@context":"https://schema.org","@graph":[{"@type":"NewsArticle","headline":"T","datePublished":"2020-02-03","author":[{"@type":"Person","name":"Ann Lee"}],"isAccessibleForFree":"False","image":{"url":"i.jpg"}}]}</script>
</head><body><header><nav><a href="/">Home</a><a href="/x">X</a></nav></header><main><article><h1>T</h1>
<p class="byline">By <a rel="author" href="/ann">Ann Lee</a> and Bob Ray, Reuters</p><time datetime="2020-02-03T04:05">February 3, 2020</time>
<figure><img src="i.jpg"><figcaption>A caption / Credit: AP</figcaption></figure>
<p>The first paragraph is long enough to be one, with <b>bold</b> and <a href="y?z=1#f">a link</a>, and goes on for a while.</p>
<h2>Sub</h2><p>The second paragraph says more of the same, at some length, so that the scorer likes it well enough.</p>
<ul><li>one<li>two<ol><li>deep</ol></ul><table><tr><td>a<td>b<tr><td colspan=2>c</table><blockquote>q<br>r</blockquote><pre>code
  more</pre><iframe src="https://www.youtube.com/embed/x"></iframe><aside><h3>Related</h3><a href="/r">R</a></aside></article></main>
<footer>(c) 2020</footer></body></html>"""
PAGES = (
    b"\x00" + PAGE,
    b"\x01" + PAGE.replace(b"utf-8", b"shift_jis"),
    b"\x02" + PAGE.decode().encode("utf-16"),
    b'\x03<p itemscope itemtype="http://schema.org/Article"><span itemprop="author">By X</span><time itemprop=datePublished>3. M\xe4rz 2021, 14 Uhr</time><div itemprop=articleBody><p>text text text</div>',
    b'\x00<script type="application/ld+json">[{"@type":["Article"],"author":"A","datePublished":"9999-99-99"},//c\n{"@type":"Person",}]</script><div><p>x<p>y<table><p>',
    b"\x04%PDF-1.4",
)
PAGE_TOKENS = (
    b"<div>", b"</div>", b"<p>", b"</p>", b"<table>", b"<tr>", b"<td colspan=9999999>", b"<article>", b"</article>", b"<!--", b"-->", b"<![CDATA[", b"<svg>", b"</svg>", b"<math>",
    b"<template>", b"</template>", b"<select>", b"<noscript>", b"<plaintext>", b"<textarea>", b"<script>", b"</script>", b"<style>", b"</style>", b"<b>", b"</b>", b"<a href=", b"<base href=",
    b"<meta charset=utf-7>", b"<meta http-equiv=refresh content='0;url=x'>", b"<iframe srcdoc='", b"javascript:", b" style='", b" onload=", b"url(", b"@import ", b"\\", b"/*", b"*/",
    b'"', b"'", b"&", b"&#0;", b"&#x10ffff;", b"&lt", b"&notin;", b"\x00", b"\x0c", b"\xff", b"\xfe\xff", b"{", b"}", b"[", b"]", b",", b'"@type":"NewsArticle"', b'"datePublished":"', b"By ", b" and ", b"2020-02-30",
    b"12/31/1999", b"00:60", b"+99:99", b"\xe2\x80\x8b", b"\xe2\x80\xae", b"\xed\xa0\x80", b"|", b"*", b"_", b"#", b"`", b"\n", b"<h1>", b"<time datetime='", b"<br>", b"<li>", b"<ul>", b"<pre>", b"</", b"<", b">", b"/>",
)  # fmt: skip


def _record(kind: str, block: bytes, *fields: tuple[str, str]) -> Record:
    made = records.make(kind, [("WARC-Date", "2026-05-04T03:02:01Z"), *fields], block)
    headers = tuple(
        (n, "<urn:uuid:00000000-0000-4000-8000-000000000001>" if n == "WARC-Record-ID" else v) for n, v in made.headers
    )
    return Record(headers, block)


_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>hello"
RECORDS = (
    _record("warcinfo", b"software: x\r\n", ("Content-Type", "application/warc-fields")),
    _record("response", _RESPONSE, ("WARC-Target-URI", "http://e.example/"), ("Content-Type", records.HTTP_RESPONSE), ("WARC-Payload-Digest", records.sha1(b"<p>hello"))),
    _record("request", b"GET / HTTP/1.1\r\nHost: e.example\r\n\r\n", ("WARC-Target-URI", "http://e.example/"), ("Content-Type", records.HTTP_REQUEST), ("WARC-Concurrent-To", "<urn:uuid:00000000-0000-4000-8000-000000000001>")),
    _record("revisit", b"HTTP/1.1 200 OK\r\n\r\n", ("WARC-Target-URI", "http://e.example/2"), ("Content-Type", records.HTTP_RESPONSE), ("WARC-Profile", "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"), ("WARC-Refers-To-Target-URI", "http://e.example/"), ("WARC-Refers-To-Date", "2026-05-04T03:02:01Z"), ("WARC-Payload-Digest", records.sha1(b"<p>hello"))),
    _record("metadata", b"via: x\r\noutcome: captured\r\n", ("Content-Type", "application/warc-fields"), ("WARC-Target-URI", "http://e.example/")),
)  # fmt: skip
_PLAIN = b"".join(map(records.serialise, RECORDS))
WARCS = (
    b"".join(members.pack(records.serialise(record)) for record in RECORDS),
    _PLAIN,
    gzip.compress(_PLAIN, mtime=0),
    _PLAIN.replace(b"WARC/1.1", b"WARC/1.0").replace(
        b"WARC-Target-URI: http://e.example/\r\n", b"WARC-Target-URI: <http://e.example/>\r\n"
    ),
)
WARC_TOKENS = (
    b"WARC/1.1\r\n", b"WARC/1.0\r\n", b"WARC/0.18\n", b"WARC-Type: response\r\n", b"WARC-Type: revisit\r\n", b"Content-Length: ", b"Content-Length: 0\r\n", b"Content-Length: 999999999999999\r\n",
    b"WARC-Date: 0001-01-01T00:00:00Z\r\n", b"WARC-Date: 2026\r\n", b"WARC-Target-URI: http://[/\r\n", b"WARC-Record-ID: <x>\r\n", b"WARC-Payload-Digest: sha1:A\r\n", b"WARC-Block-Digest: shake_128:A\r\n", b"WARC-Block-Digest: md5:0\r\n",
    b"\r\n\r\n", b"\n\n", b"\r\n", b"\r\n ", b": ", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\x1f\x8b\x08\x04", b"\x00\x00", b"filedesc:", b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Type: application/http\r\n",
    b"Content-Type: application/warc-fields\r\n", b"\xff", b"\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00", b"WARC-Segment-Number: 2\r\n",
)  # fmt: skip

LINES = (
    b'com,example)/ 20260504030201 {"url": "http://example.com/", "mime": "text/html", "status": "200", "digest": "sha1:X", "length": "9", "offset": "0", "filename": "a.warc.gz"}\n',
    b'com,example)/a?b 20260504030201 {"url": "http://example.com/a?b", "digest": "sha1:X", "length": "9", "offset": "123", "filename": "a.warc.gz"}\r\n',
)
LINE_TOKENS = (b"{", b"}", b'"', b"\\u0000", b"\\ud800", b":", b",", b" ", b"null", b"1e999", b"-1", b"99999999999999999999999", b"NaN", b"[]", b"\n", b"\r", b"\x00", b"\xff", b'"url": 1', b'"offset": "x"', b"[" * 99)  # fmt: skip


def _wacz(fill: bytes) -> bytes:
    out = io.BytesIO()
    package = {
        "profile": "data-package",
        "wacz_version": "1.1.1",
        "software": "x",
        "title": "t",
        "resources": [{"name": "a.warc.gz", "path": "archive/a.warc.gz", "hash": "sha256:00", "bytes": 9}],
    }
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (
            ("datapackage.json", json.dumps(package).encode()),
            ("archive/a.warc.gz", fill),
            (
                "pages/pages.jsonl",
                b'{"format": "json-pages-1.0"}\n{"url": "http://e.example/", "ts": "2026-05-04T03:02:01Z"}\n',
            ),
            ("indexes/index.cdxj", LINES[0]),
        ):
            archive.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


WACZS = (_wacz(WARCS[0]), _wacz(b""), _wacz(WARCS[1]))
WACZ_TOKENS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"\x00\x00", b"\xff\xff\xff\xff", b"../", b"archive/", b"datapackage.json", b"\x08\x00", b"\x63\x00", b"sha256:", b'"resources":', b"[]", b"{}", b"null", b"\x01")  # fmt: skip

SETTINGS = (
    b'contact = "a@b.example"\n[fetch]\ndelay_seconds = 2.5\nresolve = ["a.test:80=127.0.0.1:1"]\nallow_networks = ["192.0.2.0/24"]\nports = [8081]\n',
    b'[documents]\npaths = ["a", "~/b"]\nroles = ["original"]\n[warc]\nsegment_mib = 9\n',
    b"[extract]\nworkers = 0\n",
)
SETTINGS_TOKENS = (b"[fetch]\n", b" = ", b'"', b"'''", b"[", b"]", b"{", b"}", b"\n", b"1e400", b"-1", b"nan", b"inf", b"true", b"2020-01-01", b"0x", b"\\u0000", b"~", b"~nobody/", b"\x00", b"\xff", b"refetch = ", b"30d", b"0s", b"99999999999999999999d", b"ports = ", b"[[a]]\n", b"a.b.c", b"delay_seconds", b"contact = ", b"resolve = ", b"allow_networks = ", b"resolve_file = ")  # fmt: skip

URLS = (
    b"http://User:Pw@\xc3\x9cber.example:80/a/../b%20c;x?q=1&sid=0123456789abcdef0123456789abcdef#f",
    b"https://[2001:DB8::1]:8443/\xe3\x83\x84?\xe3\x83\x84",
    b"//e.example/\\..\\x y",
    b"http://0x7f.1/",
    b"http://www2.e.example/(S(abcdefghijklmnopqrstuvwx))/a.aspx?cfid=1&cftoken=2",
    b"hTTps:////e.example:443?%2525%41",
)
URL_TOKENS = (b"http://", b"https:", b"//", b"/", b"\\", b"@", b":", b"?", b"#", b"%", b"%25", b"%2e", b"..", b".", b"[", b"]", b"::1", b"\t", b"\n", b" ", b"\xe2\x80\x8b", b"\xc2\xad", b"xn--", b"\xe3\x80\x82", b"\xed\xa0\x80", b"&", b"=", b"sid=", b"www.", b"0x", b"1", b"e.example", b"|", b"^", b"`", b"<", b"\x00", b":99999")  # fmt: skip

TEXTS = (
    b"By Ann Lee and Dr. Bob Ray, Reuters (AP) in London, Updated September 9, 2019 at 12:03 p.m. GMT+2",
    "Von Jürgen Groß · Veröffentlicht am 3. März 2021, 14:05 Uhr | dpa".encode(),
    "Опубликовано: 9 сентября 2019 г., 12:03; 2019年9月9日 作者：王小明".encode(),
    b'"exact phrase" -not prefix* word \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e',
    b"a.png 1x, data:image/png;base64,AA== 2x, (b).png 300w",
    b"0; URL='http://e.example/'", b"20190909120300id_/http:/e.example/x", b"url=*.e.example/*&matchType=domain&from=2019&to=20200229&filter=!~status:2..&limit=9",
    b"(min-width: 30em) 50vw, (max-width: 9px) calc(1px), 100vw", b"This article was originally published by Reuters.", b"bytes=0-5",
    datetime(2019, 9, 9, tzinfo=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").encode(),
)  # fmt: skip
TEXT_TOKENS = (b"By ", b" and ", b", ", b" | ", b"(", b")", b"Reuters", b"2019", b"-09", b"31", b"12:03", b"a.m.", b"GMT", b"+14:00", b"Sept.", "März".encode(), "сентября".encode(), "年".encode(), b"\n", b"\t", b" ", b"  ", b"'", b'"', b"*", b"-", b"99999999999999999999", b"\xc2\xb2", b"\xd9\xa3", b"\xe2\x80\x8f", b"\xcc\x81", b"url=", b";", b",", b"http://", b"%", b"%00", b"\\", b"/*", b"0x", b"1e9", b"w", b"Updated ", b"\xed\xa0\x80", b"\x00")  # fmt: skip
