"""Dates as pages and documents write them, read strictly: no guess, no clock, no locale. Pure.

Zone and precision are kept as said. What is ambiguous without its language (09/10/2019) is None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from scraper.model import Moment, Precision

_LONGEST = 120  # characters; a longer text is prose and no date
_YEARS = range(1500, 2200)  # other calendars (1398, 2562) are refused instead of misread

# January to December, parted by semicolons, each with its forms; a form is matched whole, a trailing dot is ignored.
_MONTHS = """
january jan janvier janv januar jänner jän enero ene janeiro gennaio gen januari ianuarie ocak oca stycznia
styczeń leden ledna января январь янв січня січень januára tammikuuta január ιανουαρίου يناير
;
february feb février févr fév februar feber febrero fevereiro fev febbraio februari februarie şubat şub lutego
luty února únor февраля февраль фев февр лютого лютий helmikuuta február φεβρουαρίου فبراير
;
march mar mars märz mär mrz marzo março maart mrt martie mart marca marzec března březen марта март мар
березня березень maaliskuuta marec március μαρτίου مارس
;
april apr avril avr abril abr aprile aprilie nisan nis kwietnia kwiecień dubna duben апреля апрель апр квітня
квітень huhtikuuta apríl április απριλίου أبريل
;
may mai mayo maio mag maggio mei mayıs maja maj května květen мая май травня травень toukokuuta máj május
μαΐου مايو
;
june jun juin juni junio junho giugno giu iunie haziran haz czerwca czerwiec června červen июня июнь июн
червня червень kesäkuuta jún június ιουνίου يونيو
;
july jul juillet juil juli julio julho luglio lug iulie temmuz tem lipca lipiec července červenec июля июль
июл липня липень heinäkuuta júl július ιουλίου يوليو
;
august aug août aout agosto ago augustus ağustos ağu sierpnia sierpień srpna srpen augusti августа август авг
серпня серпень elokuuta augusztus αυγούστου أغسطس
;
september sept sep septembre septiembre set setembro settembre septembrie eylül eyl września wrzesień září
сентября сентябрь сен сент вересня вересень syyskuuta szeptember σεπτεμβρίου سبتمبر
;
october oct octobre oktober okt octubre outubro out ottobre ott octombrie ekim eki października październik
října říjen октября октябрь окт жовтня жовтень lokakuuta október οκτωβρίου أكتوبر
;
november nov novembre noviembre novembro noiembrie kasım kas listopada listopad listopadu ноября ноябрь ноя
нояб листопада листопад marraskuuta νοεμβρίου نوفمبر
;
december dec décembre déc dezember dez diciembre dic dezembro dicembre desember des decembrie aralık ara
grudnia grudzień prosince prosinec декабря декабрь дек грудня грудень joulukuuta δεκεμβρίου ديسمبر
"""
_FILLER = """
on at the of in to um uhr den der am le la à a las el dia di del de om kl klo o as às alle ore ora в г года год и р року
published updated posted modified last first date time released created publicado publié veröffentlicht erstellt stand
aktualisiert opublikowano опубликовано обновлено h hrs hours ngày lúc pada tarihinde saat pubblicato
monday tuesday wednesday thursday friday saturday sunday mon tue tues wed weds thu thur thurs fri sat sun
montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo mi do fr sa so
lundi mardi mercredi jeudi vendredi samedi dimanche lun mer jeu ven sam dim
lunes martes miércoles jueves viernes sábado domingo mié jue vie sáb dom
segunda terça quarta quinta sexta feira segunda-feira terça-feira quarta-feira quinta-feira sexta-feira
lunedì martedì mercoledì giovedì venerdì sabato domenica
maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
måndag tisdag onsdag torsdag fredag lördag söndag mandag tirsdag lørdag søndag
понедельник вторник среда четверг пятница суббота воскресенье пн вт ср чт пт сб вс
понеділок вівторок середа четвер п'ятниця субота неділя
poniedziałek wtorek środa czwartek piątek sobota niedziela
pazartesi salı çarşamba perşembe cuma cumartesi pazar
senin selasa rabu kamis jumat sabtu minggu
月曜日 火曜日 水曜日 木曜日 金曜日 土曜日 日曜日 星期一 星期二 星期三 星期四 星期五 星期六 星期日 星期天
月 火 水 木 金 土 日
周一 周二 周三 周四 周五 周六 周日 월요일 화요일 수요일 목요일 금요일 토요일 일요일 월 화 수 목 금 토 일
發布 发布 发表 更新 時間 时间 公開 配信 입력 수정
"""
# Hours from UTC of names that mean one zone only (IST, CST and the like mean several and stay unread).
_ZONES = {
    "z": 0,
    "utc": 0,
    "gmt": 0,
    "wet": 0,
    "bst": 1,
    "cet": 1,
    "mez": 1,
    "cest": 2,
    "mesz": 2,
    "eet": 2,
    "sast": 2,
    "eest": 3,
    "msk": 3,
    "мск": 3,
    "gst": 4,
    "pkt": 5,
    "wib": 7,
    "hkt": 8,
    "sgt": 8,
    "jst": 9,
    "kst": 9,
    "aest": 10,
    "aedt": 11,
    "nzst": 12,
    "nzdt": 13,
    "est": -5,
    "edt": -4,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
    "brt": -3,
    "art": -3,
}
_WORD = r"[^\W\d_]{2,14}"
_CORES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!\d)(?P<y>\d{4})\s?(?:[-/.]|年|년)\s?(?P<m>\d{1,2})\s?(?:[-/.]|月|월)\s?(?P<d>\d{1,2})(?:\s?[日일]|\.)?(?!\d)",
        r"(?<!\d)(?P<d>\d{1,2})(?:st|nd|rd|th|er|[º°ª.])?[\s/-]{1,3}(?:de |of |d')?"
        rf"(?P<w>{_WORD})\.?,?[\s/-]{{1,3}}(?:de |del )?(?P<y>\d{{4}})(?!\d)",
        rf"(?<![^\W\d_])(?P<w>{_WORD})\.?[\s-]{{1,3}}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?[\s-]{{1,3}}(?P<y>\d{{4}})(?!\d)",
        r"(?<!\d)(?P<a>\d{1,2})\s?(?P<sep>[./-])\s?(?P<b>\d{1,2})\s?(?P=sep)\s?(?P<y>\d{4})(?!\d)",
        r"^(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?=$|T\d)",
        r"^(?P<y>\d{4})\s?(?:[-/]|年|년)\s?(?P<m>\d{1,2})\s?[月월]?$",
        rf"^(?P<w>{_WORD})\.?,?\s(?:de )?(?P<y>\d{{4}})$",
        r"^(?P<y>\d{4})年?$",
    )
)
_TIME = re.compile(
    r"(?:(?P<half>午前|上午|오전|午後|下午|오후)\s?)?(?<![\d:])(?P<h>\d{1,2})"
    r"(?:(?:\s?[:h]\s?|\.|\s?[時时시]\s?|(?<=T\d\d))(?P<min>\d\d)(?!\d{3})\s?[分분]?(?::?(?P<s>\d\d)(?:[.,]\d{1,9})?)?)?"
    r"(?:\s?(?P<ap>[ap]\.?m\b\.?))?",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"(?:\b(?:UTC|GMT)\s?)?(?P<sign>[+\-−])(?P<h>\d{1,2})(?::?(?P<m>\d\d))?(?!\d)", re.IGNORECASE)
_TAG = re.compile(r"[a-z]{2,3}\Z")
_BRACKETS = re.compile(r"\([^()]{0,60}\)|\[[^][]{0,60}\]")
_REST_WORD = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")
# Languages whose month names stand above: dateparser would find nothing more in them.
_KNOWN = frozenset(
    {
        *(
            "en",
            "de",
            "fr",
            "es",
            "pt",
            "it",
            "nl",
            "ro",
            "tr",
            "pl",
            "cs",
            "ru",
            "uk",
            "fi",
            "sv",
            "da",
            "nb",
            "nn",
            "no",
            "el",
        ),
        *("zh", "ja", "ko"),
    }
)
# Languages whose all-numeric dates start with the day; en-US and a few others start with the month.
_MONTH_FIRST = frozenset({"en-us", "en-ph", "es-us"})


@dataclass(frozen=True, slots=True)
class Found:
    """A date inside a text and what stands around it."""

    moment: Moment
    rest: str


def parse(text: str, language: str | None = None) -> Moment | None:
    """Read a text that is a date and nothing else (a weekday, a time, a zone and words like "Published" aside).

    `language` is a BCP 47 tag; it decides 09/10/2019 and opens the slow path (dateparser) for languages whose month
    names are not known here.
    """
    folded = _fold(text)
    if not folded or len(folded) > _LONGEST or not any(char.isdigit() for char in folded):
        return None
    found = _find(folded, language)
    if found is not None:
        return found.moment if _only_filler(found.rest) else None
    return _by_dateparser(folded, language)


def search(text: str, language: str | None = None) -> Moment | None:
    """The first day-precise date inside a short text such as a byline; None in prose and where it is ambiguous."""
    folded = _fold(text)[: 2 * _LONGEST]
    found = _find(folded, language)
    return found.moment if found and found.moment.precision not in (Precision.YEAR, Precision.MONTH) else None


def _fold(text: str) -> str:
    return " ".join(text[:1000].replace("\u200e", "").replace("\u200f", "").split())


def _find(text: str, language: str | None) -> Found | None:
    for core in _CORES:
        for match in core.finditer(text):
            day = _day(match.groupdict(), language)
            if day is not None:
                # What follows the date comes first, so that "12:03, 9 May" and "9 May, 12:03" read alike.
                rest = f"{text[match.end() :].removeprefix('T')} | {text[: match.start()]}"
                return _with_time(day, rest) if day.precision is Precision.DAY else Found(day, rest)
    return None


def _day(parts: dict[str, str | None], language: str | None) -> Moment | None:
    year = int(parts["y"] or 0)
    month, day = _month_and_day(parts, language)
    if year not in _YEARS or month is None:
        return None
    try:
        at = datetime(year, month or 1, day or 1)  # noqa: DTZ001  the publisher's own day: no zone was said
    except ValueError:
        return None
    return Moment(at, Precision.DAY if day else Precision.MONTH if month else Precision.YEAR)


def _month_and_day(parts: dict[str, str | None], language: str | None) -> tuple[int | None, int]:
    day = int(parts.get("d") or 0)
    if parts.get("a"):
        return _numeric_order(int(parts["a"] or 0), int(parts["b"] or 0), parts["sep"] or "", language)
    if parts.get("w"):
        return _month_names().get((parts["w"] or "").casefold()), day
    return int(parts.get("m") or 0), day


def _numeric_order(a: int, b: int, separator: str, language: str | None) -> tuple[int | None, int]:
    tag = (language or "").lower().replace("_", "-")
    if a > 12 or separator == ".":
        return b, a
    if b > 12:
        return a, b
    if a == b:
        return a, b
    if not tag or tag == "en":
        return None, 0  # 09/10 is September or October: nobody can tell
    return (a, b) if tag in _MONTH_FIRST else (b, a)


@lru_cache(maxsize=1)
def _month_names() -> dict[str, int]:
    months = _MONTHS.split(";")
    return {name.casefold(): number for number, names in enumerate(months, start=1) for name in names.split()}


@lru_cache(maxsize=1)
def _filler() -> frozenset[str]:
    return frozenset(_FILLER.split())


def _with_time(day: Moment, rest: str) -> Found:
    bare = _BRACKETS.sub(" ", rest)
    for match in _TIME.finditer(bare):
        if not (match["min"] or match["ap"]):
            continue
        clock = _clock(match)
        if clock is None:
            break
        after, zone = _zone(bare[match.end() :])
        precision = Precision.SECOND if match["s"] else Precision.MINUTE
        at = day.at.replace(hour=clock[0], minute=clock[1], second=clock[2], tzinfo=zone)
        return Found(Moment(at, precision), f"{bare[: match.start()]} {after}")
    return Found(day, bare)


def _clock(match: re.Match[str]) -> tuple[int, int, int] | None:
    hour, minute, second = int(match["h"]), int(match["min"] or 0), int(match["s"] or 0)
    half = (match["ap"] or match["half"] or "").lower()
    if half and hour <= 12:
        late = half.startswith("p") or half in ("午後", "下午", "오후")
        hour = hour % 12 + (12 if late else 0)
    return (hour, minute, min(second, 59)) if hour < 24 and minute < 60 else None


def _zone(text: str) -> tuple[str, timezone | None]:
    """The zone at the start of what follows a time, and the text without it."""
    stripped = text.lstrip(" .,")
    offset = _OFFSET.match(stripped)
    if offset:
        minutes = int(offset["h"]) * 60 + int(offset["m"] or 0)
        if minutes <= 14 * 60:
            delta = timedelta(minutes=minutes if offset["sign"] == "+" else -minutes)
            return stripped[offset.end() :], timezone(delta) if delta else UTC
    word = _REST_WORD.match(stripped)
    if word and word.group().lower() in _ZONES:
        hours = _ZONES[word.group().lower()]
        return stripped[word.end() :], timezone(timedelta(hours=hours)) if hours else UTC
    return text, None


def _only_filler(rest: str) -> bool:
    words = _REST_WORD.findall(rest)
    return all(word.casefold() in _filler() for word in words) and not any(char.isdigit() for char in rest)


def _by_dateparser(text: str, language: str | None) -> Moment | None:
    tag = (language or "").lower().replace("_", "-").split("-")[0]
    if not _TAG.match(tag) or tag in _KNOWN or not re.search(r"(?<!\d)\d{4}(?!\d)", text):
        return None
    from dateparser.date import DateDataParser  # 0.2 s: only for languages that are not known here

    settings = {
        "STRICT_PARSING": True,
        "REQUIRE_PARTS": ["day", "month", "year"],
        "PARSERS": ["absolute-time"],
        "RELATIVE_BASE": datetime(2000, 1, 1),  # noqa: DTZ001  never the clock
        "RETURN_TIME_AS_PERIOD": True,
        "TIMEZONE": "UTC",
    }
    try:
        data = DateDataParser(languages=[tag], settings=settings).get_date_data(text)
    except ValueError:  # a language dateparser does not know
        return None
    at = data.date_obj
    if at is None or at.year not in _YEARS:
        return None
    if data.period == "time":
        return Moment(at, Precision.SECOND if at.second else Precision.MINUTE)
    return Moment(at.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None), Precision.DAY)
