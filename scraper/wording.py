"""The words by which people mark the page a document was made from, and pages related to it."""

from __future__ import annotations

import re

from scraper.model import Role

_ORIGINAL = """
original; originals; original url; original urls; original link; original links; original article;
original story; original post;
original source; original page; original text; original version; original document; original publication;
original news; original report; original website; original site; original address; original location;
original piece;
original article url; original article link; original article at; original url of the article; original from;
link to original; link to the original; link to original article; link to the original article; link to source;
link to article; link to full article; url of original; url of the original; url of the original article;
source; source url; source link; source article; source page; source website; source site; source web page;
source document; source address; source uri; source of article; source of the article; source story;
source post;
article source; article url; article link; article address; story url; story link; story source; news source;
page source url; page url; web source; online source; full article; full story; full text at; full text;
canonical; canonical url; canonical link; permalink; permanent link; retrieved from; taken from; copied from;
reprinted from; republished from; reposted from; originally from; saved from; clipped from; captured from;
published at; published on; originally at; originally published; originally published at;
originally published on;
first published; first published at; first published on; originally posted; originally posted at;
originally posted on;
quelle; quell url; quelle url; quellenlink; quelle des artikels; originalquelle; original quelle;
originalartikel;
original artikel; originallink; originaltext; originalbeitrag; originalveröffentlichung; artikel url;
zum originalartikel;
zum original; link zum original; link zum originalartikel; originaladresse; zuerst erschienen;
ursprünglich erschienen;
article original; lien original; lien d'origine; url d'origine; url originale; adresse originale;
source originale;
lien de l'article; lien vers l'article; lien vers l'original; article d'origine; texte original;
article source;
fuente; fuente original; artículo original; articulo original; enlace original; url original; nota original;
texto original; noticia original; enlace al original; url fuente; enlace; publicado originalmente;
fonte; fonte original; fonte originale; artigo original; matéria original; materia original;
notícia original;
ligação original; articolo originale; url originale; testo originale; link originale; indirizzo originale;
bron; oorspronkelijke url; oorspronkelijk artikel; origineel artikel; originele link; originele url;
originele bron;
źródło; zrodlo; oryginał; oryginalny artykuł; oryginalny link; adres oryginału; link do oryginału;
źródło artykułu;
zdroj; původní článek; původní odkaz; zdroj článku; pôvodný článok;
källa; originalartikel; ursprunglig artikel; originallänk; kilde; opprinnelig artikkel; oprindelig artikel;
original artikkel; lähde; alkuperäinen artikkeli; alkuperäinen linkki; alkuperäinen osoite; allikas; avots;
šaltinis;
forrás; eredeti cikk; eredeti url; eredeti link; sursa; articol original; articolul original; link original;
kaynak; orijinal makale; orijinal haber; orijinal url; haberin kaynağı; haber kaynağı; orijinal bağlantı;
πηγή; αρχικό άρθρο; πρωτότυπο άρθρο; izvor; izvorni članak; извор;
източник; оригинална статия;
источник; первоисточник; оригинал; оригинал статьи;
оригинальная статья; оригинал публикации;
оригинал материала;
оригинальный url; ссылка на оригинал; ссылка на источник;
ссылка на статью; адрес оригинала; исходная статья;
адрес статьи; источник url; url источника; url оригинала;
джерело; першоджерело; оригінал; оригінал статті;
посилання на оригінал; посилання на джерело; крыніца;
原文; 原文链接; 原文連結; 原文鏈接; 原文地址; 原文網址; 原文网址; 原文出处; 原文出處; 原链接; 原始链接;
原始連結; 原始網址; 原始网址;
来源; 來源; 来源链接; 來源連結; 来源网址; 來源網址; 文章来源; 文章來源; 新闻来源; 新聞來源; 消息来源; 资料来源;
資料來源; 出处; 出處; 本文链接;
本文連結; 本文网址; 转载自; 轉載自; 文章链接; 文章連結; 链接来源; 来源：原文;
出典; 引用元; 元記事; 元の記事; 元記事url; 元url; 原文url; 記事url; 記事元; ソース; 情報源; 参照元; 転載元;
出所; オリジナル; オリジナル記事;
출처; 원문; 원문 보기; 원문보기; 원문 링크; 원문링크; 원본; 원본 링크; 원본 기사; 기사 원문; 기사원문;
기사 출처; 원문 주소;
المصدر; مصدر; الرابط الأصلي; رابط المصدر; المقال الأصلي; رابط المقال الأصلي; منبع; لینک اصلی; מקור; המקור;
לכתבה המקורית; קישור למקור;
स्रोत; मूल लेख; मूल लिंक; উৎস; সূত্র; ที่มา; แหล่งที่มา; ต้นฉบับ; ลิงก์ต้นฉบับ; nguồn; bài gốc; link gốc;
nguồn tin;
sumber; artikel asli; sumber asli; tautan asli; pinagmulan; chanzo
"""

_RELATED = """
related; related article; related articles; related story; related stories; related link; related links;
related post;
related posts; related reading; related content; related coverage; related news; related topics; related video;
related videos; related url; related urls; related page; related pages; related material;
related to this story;
read also; also read; see also; read more; read next; read more about this; read more on this; more on this;
more on this story; more on this topic; further reading; you may also like; you might also like; recommended;
recommended reading; recommended articles; don't miss; don’t miss; also on; more from; watch also; also see;
lire aussi; à lire aussi; a lire aussi; voir aussi; à voir aussi; sur le même sujet; articles liés;
article lié; à lire;
lesen sie auch; lies auch; auch interessant; mehr zum thema; siehe auch; weiterlesen; verwandte artikel;
passend dazu;
lea también; lee también; leer también; lea tambien; lee tambien; ver también; véase también;
artículo relacionado;
artículos relacionados; noticias relacionadas; notas relacionadas; te puede interesar; leia também;
leia mais;
veja também; artigo relacionado; artigos relacionados; notícias relacionadas; leggi anche; vedi anche;
articolo correlato; articoli correlati; lees ook; zie ook; gerelateerd; czytaj też; czytaj także;
czytaj więcej;
zobacz także; zobacz też; přečtěte si také; čtěte také; související; läs också; läs även; läs mer;
les også; læs også;
les mer; læs mere; lue myös; lue lisää; olvasd el ezt is; kapcsolódó; citește și; citeşte şi;
ayrıca okuyun;
ilgili haber; ilgili haberler; i̇lgili haber; i̇lgili haberler; διαβάστε επίσης; pročitajte još;
прочетете още;
читайте также; читать также; смотрите также; см. также;
по теме; материалы по теме; статьи по теме; ещё по теме;
еще по теме; подробнее; связанные статьи; читайте також;
дивіться також; за темою;
相关阅读; 相關閱讀; 相关文章; 相關文章; 相关新闻; 相關新聞; 相关链接; 延伸阅读; 延伸閱讀; 推荐阅读; 推薦閱讀;
関連記事; 関連リンク; 関連ニュース;
あわせて読みたい; 関連; 관련기사; 관련 기사; 관련 뉴스; 함께 보기; 더 보기; اقرأ أيضا; اقرأ أيضًا;
مواضيع ذات صلة; קראו גם; baca juga; artikel terkait;
xem thêm; đọc thêm; tin liên quan; यह भी पढ़ें; อ่านเพิ่มเติม
"""

# "Originally published by The Paper on …": the address follows later on the line.
_PHRASES = re.compile(
    r"(?:(?:this|the) (?:\w+ )?"
    r"(?:article|story|post|piece|essay|report|column|interview|text|item|page|commentary|review)"
    r" (?:was |is |has been |had been )?(?:also )?(?:originally |first |previously |re)"
    r"(?:published|appeared|posted|printed|ran|written|from|available)"
    r"|(?:originally|first) (?:published|appeared|posted|printed|written|ran|available)\b"
    r"|(?:read|view|see|find|get|visit|open|go to|click for) (?:the |this |its |full )?"
    r"(?:original|full|whole|complete|entire|source)\b"
    r"(?: (?:article|story|post|piece|text|report|page|version|here|at|on|source|publication))?"
    r"|(?:retrieved|reprinted|republished|reposted|copied|taken|clipped|saved|excerpted) (?:with permission )?from\b"
    r"|zuerst (?:erschienen|veröffentlicht)|ursprünglich (?:erschienen|veröffentlicht)|dieser (?:artikel|text) erschien"
    r"|(?:article |texte )?(?:initialement|d'abord) publié|publié (?:initialement|à l'origine|d'abord)"
    r"|lire l'article (?:original|complet)"
    r"|publicado originalmente|originalmente publicado"
    r"|leer (?:el |la )?(?:artículo|nota|noticia) (?:original|complet[oa])"
    r"|pubblicato originariamente|originariamente pubblicato|leggi l'articolo (?:originale|completo)"
    r"|leia (?:o|a) \w+ (?:original|complet[oa])"
    r"|впервые опубликован[оа]?|изначально опубликован[оа]?|читать (?:оригинал|полностью|в оригинале)"
    r"|阅读原文|查看原文|閱讀原文|查看原始|原文を読む|元記事を読む)"
)
_FOLDABLE = re.compile(r"[\s_\-]+")
_EDGES = " \t*_.-–—=→>:：#"


def _table(words: str) -> frozenset[str]:
    return frozenset(folded(entry) for entry in words.replace("\n", " ").split(";"))


def folded(label: str) -> str:
    """A label in one form: case folded, `_`, `-` and blanks alike, marks around it gone."""
    return _FOLDABLE.sub(" ", label.casefold().replace("’", "'")).strip(_EDGES)


ORIGINAL = _table(_ORIGINAL)
RELATED = _table(_RELATED)


def role_of(label: str) -> Role | None:
    """The role which a label such as "Original url" gives to the address after it."""
    key = folded(label)
    return Role.ORIGINAL if key in ORIGINAL else Role.RELATED if key in RELATED else None


def is_phrase(text: str) -> bool:
    """Does a line begin with a sentence such as "This article was originally published in …"?"""
    return bool(_PHRASES.match(folded(text)))
