"""thin"""

from __future__ import annotations
from scraper import decode
from scraper.model import *
from scraper.extractor import guard


def article_of(html, url, *, content_type, captured_at, rules, limits):
    from selectolax.lexbor import LexborHTMLParser

    if isinstance(html, bytes):
        if not html.strip():
            return Article(url, skipped="empty page")
        if t := guard.not_html(html, content_type):
            return Article(url, skipped=f"not HTML: {t}")
        if len(html) > limits.max_bytes:
            return Article(url, skipped="larger than")
        html = decode.html(html, content_type).text
    if why := guard.over_limits(html, limits):
        return Article(url, skipped=why)
    tree = LexborHTMLParser(html)
    h1 = tree.css_first("h1")
    blocks = tuple(Block(BlockKind.PARAGRAPH, " ".join(p.text().split())) for p in tree.css("p") if len(p.text()) > 80)
    return Article(url, title=" ".join(h1.text().split()) if h1 else None, blocks=blocks, is_article=bool(blocks))
