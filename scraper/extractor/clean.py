"""From the pieces of the body the ones that are the article: headings, labels and boxes that are not go. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from scraper import dates
from scraper.extractor.blocks import Piece
from scraper.model import Block, BlockKind, Link

_RELATED = re.compile(
    r"(?i)^(?:[*•▶►→>|\s]{0,6})(?:related(?: (?:article|articles|story|stories|news|content|coverage|reading"
    r"|links?|posts?|topics))?"
    r"|read (?:more|also|next|the full|this|our)|also (?:read|see|watch|on)|see also|see more|more (?:on|from"
    r"|about|stories|news)|learn more|watch(?: (?:more|now|live|also|the video|video))?"
    r"|lire aussi|à lire(?: aussi)?|leer (?:más|también|además)|lea también|te puede interesar|mehr zum thema"
    r"|lesen sie auch|mehr dazu|auch interessant"
    r"|leggi anche|lees ook|læs også|läs också|les også|czytaj też|czytaj także|zobacz też|читайте также"
    r"|читайте ещё|читать также|читайте|по теме|ещё по теме"
    r"|leia (?:também|mais)|veja (?:também|mais)|baca juga|xem thêm|ilgili haber"
    r"|関連記事|相关阅读|相关新闻|延伸閱讀|관련기사"
    r"|don't miss|recommended|you may also like|must read|explore more)"
    r"(?=\s{0,3}(?::|：|\||-|–|—|>|»|$))"
)
_JUNK = re.compile(
    r"(?i)^(?:advertisement|advertising|ad|ads|sponsored(?: content)?|story continues(?: below)?.{0,40}"
    r"|article continues below.{0,40}|continue reading.{0,60}|scroll (?:down )?to continue.{0,30}|loading\W{0,5}"
    r"|share(?: this)?(?: (?:article|story|post|page))?.{0,30}|"
    r"(?:click|tap) here (?:to|for).{0,120}|sign up (?:for|to|here|now).{0,160}|subscribe (?:to|now|here|for"
    r"|today).{0,160}|follow (?:us|me|@|him|her) ?.{0,120}|like us on .{0,100}|download (?:our"
    r"|the) .{0,80}app.{0,100}|"
    r"get (?:our|the) .{0,80}newsletters?.{0,100}|photos?:? .{0,60}/.{0,60}|image (?:source|credit|copyright"
    r"|caption).{0,100}|photo(?:graph)? (?:by|credit|courtesy).{0,100}|(?:file )?photo by .{0,80}|getty images|"
    r"copyright .{0,200}|©.{0,200}|\(?c\) \d{4}.{0,160}|all rights reserved\.?.{0,80}|\d{1,4} comments?|comments?"
    r"|leave a (?:comment|reply).{0,40}|view (?:all )?comments.{0,20}|post a comment|tags?:.{0,200}"
    r"|topics?:.{0,200}|filed under:?.{0,160}|"
    r"facebook(?: \W?twitter| \W?x)?(?: \W?e-?mail)?.{0,20}|(?:show|hide) caption"
    r"|view this post on instagram.{0,40}|a post shared by .{0,100}|print|email|copy link|save"
    r"|listen(?: to (?:this )?(?:article|story))?.{0,40}|\d{1,3} min(?:ute)?s? (?:read|listen).{0,10}"
    r"|reading time.{0,30}|(?:posted|published|updated|last updated|first published)(?: on| at|:).{0,60}|"
    r"anzeige|werbung|publicité|publicidad|pubblicità|реклама|広告|advertentie|annons|reklama|close"
    r"|skip(?: ad(?:vertisement)?)?|back to top|next article|previous article|table of contents|"
    r"this (?:article|story|post) (?:was |has been )?(?:originally )?(?:first )?(?:published|appeared) (?:on|in|at"
    r"|by) .{0,160}|reporting by .{0,250}|editing by .{0,200}|\(reporting by .{0,300}|our standards: .{0,80}"
    r"|with (?:files|reporting) from .{0,100})$"
)
_TAIL_HEADING = re.compile(
    r"(?i)^(?:related.{0,40}|more (?:from|on|stories|news|about|like).{0,60}|read (?:more|next|also).{0,30}"
    r"|you (?:may|might) (?:also )?(?:like|be interested).{0,40}|recommended.{0,30}|(?:leave|post|add) (?:a"
    r"|your) (?:comment|reply).{0,30}|comments?.{0,20}|"
    r"\d{1,5} (?:comments?|responses?|thoughts?|replies).{0,120}|share (?:this|on|via).{0,40}|share"
    r"|about the authors?.{0,40}|about (?:us|me)|latest (?:news|stories|posts|articles).{0,30}|most (?:read"
    r"|popular|viewed).{0,30}|popular.{0,30}|trending.{0,30}|"
    r"sign up.{0,60}|subscribe.{0,60}|newsletter.{0,60}|stay (?:connected|informed|up to date).{0,30}"
    r"|follow us.{0,30}|what to read next|up next|top stories|don't miss|see also|editor'?s'? (?:picks|choice)"
    r"|join the (?:conversation|discussion)|in other news|tags|topics|categories|"
    r"mehr zum thema|auch interessant|lesen sie auch|kommentare|das könnte sie.{0,40}|à lire (?:aussi|également)"
    r"|sur le même (?:sujet|thème)|commentaires|comentarios|más noticias|te puede interesar|noticias relacionadas"
    r"|lo más (?:leído|visto)|leia (?:também|mais)|veja também|"
    r"leggi anche|commenti|lees ook|читайте также|комментарии|по теме"
    r"|関連記事|コメント|相关(?:新闻|阅读)|延伸閱讀|관련기사)\W{0,5}$"
)
_BYLINE = re.compile(r"(?:By|BY|Von|Par|Por|Di|Автор:?|Written by|Story by)\s?(?=[A-ZÀ-ÞА-Я])")
_TAIL = re.compile(
    r"(?i)^[\W_]{0,3}(?:contact .{2,60} at .{0,200}"
    r"|(?:you can )?follow .{2,60} on (?:x|twitter|instagram|facebook)\b.{0,200}"
    r"|(?:read|see) more (?:from|of) .{0,120}"
    r"|.{2,80} (?:contributed to this (?:report|story|article)|contributed reporting)\.?.{0,80}"
    r"|contributing: .{0,300}|e-?mail:? .{0,120}|have a (?:news )?tip.{0,200}|got a tip.{0,200}"
    r"|(?:more information|journal information|provided by|sources?|via|citation|originally published)\s?:.{0,400}"
    r"|[^.]{2,60} is (?:a|an|the) (?:[\w'-]{1,20} ){0,4}"
    r"(?:reporter|writer|editor|columnist|correspondent|contributor|journalist|author|producer|fellow"
    r"|professor)\b.{0,500})$"
)
_TAIL_PIECES = 4
_MOST_LINKED = 0.6
_LABEL_MOST = 60  # letters


def article_pieces(pieces: Sequence[Piece], title: str | None) -> tuple[list[Piece], list[Link]]:
    """The pieces that are text of the article, and the related links that stood among them."""
    related: list[Link] = []
    kept: list[Piece] = []
    after_label = False
    for piece in pieces:
        text = piece.block.text
        if _is_related(piece, after_label):
            related.extend(_links_of(piece))
            after_label = not piece.links and len(text) <= _LABEL_MOST
            continue
        after_label = False
        if _JUNK.match(text[:400]) or _mostly_links(piece) or _is_label(piece, len(kept)):
            continue
        kept.append(piece)
    kept = _without_headline(kept, title)
    return _without_tail(kept, related), related


def without_label(text: str) -> str:
    """The title of a related article without the "Related article:" before it."""
    match = _RELATED.match(text)
    rest = text[match.end() :].lstrip(" :：|-–—>»") if match else ""
    return rest or text


def _is_related(piece: Piece, after_label: bool) -> bool:
    text = piece.block.text
    if piece.block.kind is BlockKind.HEADING and not piece.links:
        return False
    match = _RELATED.match(text)
    if match:
        rest = text[match.end() :]
        return bool(piece.links) or len(text) <= _LABEL_MOST or rest.lstrip()[:1] in (":", "|")
    return after_label and piece.linked >= _MOST_LINKED * len(text)


def _is_label(piece: Piece, before: int) -> bool:
    """A line without words, a date line, or (before the text begins) a byline."""
    text = piece.block.text
    if not any(map(str.isalnum, text)):
        return True
    if piece.block.kind is not BlockKind.PARAGRAPH or len(text) > _LABEL_MOST:
        return False
    if any(map(str.isdigit, text)) and len(text) >= 8 and dates.parse(text) is not None:
        return True
    return before < 2 and bool(_BYLINE.match(text)) and not text.endswith(".")


def _links_of(piece: Piece) -> list[Link]:
    return [link for link in piece.links if len(link.title) >= 8]


def _mostly_links(piece: Piece) -> bool:
    text = piece.block.text
    if piece.linked < _MOST_LINKED * len(text):
        return False
    match piece.block.kind:
        case BlockKind.LIST:
            return True
        case BlockKind.PARAGRAPH:
            # A linked sentence can be text; a linked title without its full stop is a pointer elsewhere.
            return piece.linked >= 0.9 * len(text) and (text[-1] not in ".。" or len(text) < 40)
        case BlockKind.TABLE:
            return piece.linked >= 0.8 * len(text)
        case _:
            return False


def _without_headline(pieces: list[Piece], title: str | None) -> list[Piece]:
    """The first blocks without the headline repeated."""
    wanted = _words(title or "")
    if not wanted:
        return pieces
    return [piece for piece in pieces[:4] if _words(piece.block.text) != wanted] + pieces[4:]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _without_tail(pieces: list[Piece], related: list[Link]) -> list[Piece]:
    """Cut where a heading such as "More stories" begins the last fifth; headings with nothing below them go too."""
    total = sum(len(piece.block.text) for piece in pieces) or 1
    seen = 0
    for index, piece in enumerate(pieces):
        if seen > 0.6 * total and _is_heading(piece) and _TAIL_HEADING.match(piece.block.text):
            related.extend(link for dropped in pieces[index:] for link in _links_of(dropped))
            pieces = pieces[:index]
            break
        seen += len(piece.block.text)
    return _without_bare_headings(_without_notes(pieces))


def _is_heading(piece: Piece) -> bool:
    return piece.block.kind is BlockKind.HEADING or (piece.emphasised and len(piece.block.text) < _LABEL_MOST)


def _without_notes(pieces: list[Piece]) -> list[Piece]:
    """The last pieces without notes on the makers: contacts, contributors, who the author is."""
    if len(pieces) <= _TAIL_PIECES:
        return pieces
    head, tail = pieces[:-_TAIL_PIECES], pieces[-_TAIL_PIECES:]
    return head + [piece for piece in tail if not (len(piece.block.text) < 600 and _TAIL.match(piece.block.text))]


def _without_bare_headings(pieces: list[Piece]) -> list[Piece]:
    kept: list[Piece] = []
    for piece in reversed(pieces):
        if piece.block.kind is BlockKind.HEADING:
            if not kept or _TAIL_HEADING.match(piece.block.text):
                continue
            below = kept[-1].block
            if below.kind is BlockKind.HEADING and below.level < piece.block.level:
                continue
        kept.append(piece)
    return kept[::-1]


def blocks_of(pieces: Sequence[Piece]) -> tuple[Block, ...]:
    """The blocks; an embed without text is kept for its address."""
    return tuple(replace(piece.block) for piece in pieces)
