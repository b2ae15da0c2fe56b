"""Pages written for the extractor's tests."""

from __future__ import annotations

FIRST = "The town council of Lindholm decided on Tuesday evening to keep the three old cranes on the timber quay."
SECOND = "A survey of the steel found in March that two of the cranes, built in 1931, could stand for sixty more years."
THIRD = "Work on the new landing stage is to begin after the herring season, the harbour master said on Wednesday."
PARAGRAPHS = (FIRST, SECOND, THIRD)

JSON_LD = """{
  "@context": "https://schema.org",
  "@graph": [
    {"@type": "WebSite", "name": "Lindholm Courier", "@id": "https://courier.example.org/#site"},
    {"@type": "Person", "@id": "https://courier.example.org/#ada", "name": "Ada Holm"},
    {"@type": "NewsArticle",
     "headline": "Harbour keeps its three cranes",
     "datePublished": "2023-05-17T06:30:00+02:00",
     "dateModified": "2023-05-18T08:00:00+02:00",
     "author": [{"@id": "https://courier.example.org/#ada"}, {"@type": "Organization", "name": "Reuters"}],
     "publisher": {"@type": "Organization", "name": "Lindholm Courier"},
     "articleSection": "Town",
     "keywords": ["harbour", "cranes"],
     "inLanguage": "en-GB",
     "isAccessibleForFree": false,
     "mainEntityOfPage": "https://courier.example.org/town/cranes"}
  ]
}"""

HEAD = f"""<!doctype html><html lang="en-GB"><head><meta charset="utf-8">
<title>Harbour keeps its three cranes | Lindholm Courier</title>
<meta property="og:title" content="Cranes: SEO title | Lindholm Courier">
<meta property="og:site_name" content="Lindholm Courier"><meta property="og:type" content="article">
<meta property="og:image" content="/media/cranes.jpg">
<meta name="robots" content="index, noarchive">
<link rel="canonical" href="/town/cranes">
<script type="application/ld+json">{JSON_LD}</script></head>"""

BODY = f"""<body>
<header><nav><a href="/">Home</a> <a href="/town">Town</a> <a href="/sea">Sea</a></nav></header>
<div class="cookie-banner">
<p>We use cookies to count our readers, and by staying here you agree to all of them.</p></div>
<main><article>
<h1>Harbour keeps its three cranes</h1>
<p class="standfirst">The council pays one crown for each of the three cranes.</p>
<div class="byline">By <a rel="author" href="/staff/ada">Ada Holm</a>, Reuters</div>
<time datetime="2023-05-17T06:30:00+02:00">17 May 2023</time>
<div class="share-tools"><a href="https://social.example/?u=1">Share this on Social</a></div>
<figure><img src="/media/cranes.jpg">
<figcaption>The middle crane in spring <span class="credit">Bo Lind / Courier</span>
</figcaption></figure>
<div class="article-body">
<p>{FIRST}</p>
<p><strong>Read more:</strong> <a href="/town/survey">The survey of the quay, in numbers</a></p>
<p>{SECOND}</p>
<aside class="related"><h3>Related stories</h3><ul>
<li><a href="/sea/herring">Herring come late this year again</a></li></ul></aside>
<h2>After the herring season</h2>
<p>{THIRD}</p>
<ul><li>Three cranes</li><li>One landing stage</li></ul>
<blockquote><p>You could always find your clothes again.</p></blockquote>
<table><tr><th>Crane</th><th>Built</th></tr><tr><td>North</td><td>1931</td></tr></table>
<div class="newsletter-signup"><h3>Our letter</h3>
<p>Every Friday the best of the harbour in your mailbox, free of charge.</p></div>
</div>
<div class="author-bio"><p>Ada Holm has written about the harbour for twenty years and lives on a boat.</p></div>
</article>
<section id="comments"><h2>2 comments</h2>
<p>I have always said that the cranes must stay, whatever it may cost the town in the end.</p></section>
</main>
<footer><p>© Lindholm Courier. All rights reserved, and no part may be printed without our leave.</p></footer>
</body></html>"""

PAGE = HEAD + BODY
URL = "https://courier.example.org/town/cranes?from=letter"


def simple(body: str, head: str = "") -> str:
    """A small page around a body."""
    return f"<html><head><title>A small page</title>{head}</head><body>{body}</body></html>"


def paragraphs(*texts: str) -> str:
    """The texts as an article's paragraphs."""
    return "<article><h1>A small page</h1>" + "".join(f"<p>{text}</p>" for text in texts) + "</article>"
