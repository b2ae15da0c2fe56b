"""Settings: TOML, environment and `--set` become one frozen, typed value. Unknown keys are refused by name.

Precedence: flag > environment (`SCRAPER_…`) > TOML > default. Loaded once, in `cli`, and passed down.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from scraper.errors import ConfigError
from scraper.model import ParserLimits, SiteRules

MIB = 1024 * 1024
ENVIRONMENT_PREFIX = "SCRAPER_"
# The first names the file itself; the second asks the tests for their oracles, and may stand in any environment.
NOT_KEYS = {"SCRAPER_CONFIG", "SCRAPER_TEST_ORACLES", "SCRAPER_TEST_CHROMIUM"}

Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]  # a year; more is a slip of the pen, or infinite
Limit = Annotated[float, Meta(gt=0, le=31_536_000)]
RecordMib = Annotated[int, Meta(ge=1, le=900)]  # a record of 1 GiB is the largest that can be read back
Port = Annotated[int, Meta(ge=1, le=65535)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Duration = Annotated[str, Meta(pattern=r"^(never|[0-9]{1,6}[smh]|[0-9]{1,4}[dw])$")]
Override = Annotated[str, Meta(pattern=r"^\S+:[0-9]{1,5}=\S+:[0-9]{1,5}$")]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class DocumentSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which documents `run` reads when none are named, and which roles it fetches."""

    paths: Annotated[tuple[str, ...], Meta(min_length=1)] = ("documents",)
    roles: tuple[Literal["original", "related", "cited"], ...] = ("original",)


class FetchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How pages are asked for. Sizes are in MiB, times in seconds, unless the name says otherwise."""

    delay_seconds: Seconds = 1.0
    crawl_delay_max_seconds: Seconds = 300.0
    parallel_hosts: Positive = 32
    connect_seconds: Limit = 15.0
    deadline_seconds: Limit = 60.0
    max_wire_mib: RecordMib = 20
    max_decoded_mib: Positive = 100
    max_redirects: Natural = 10
    max_tries: Positive = 4
    retry_base_seconds: Seconds = 1.0
    longest_wait_seconds: Seconds = 120.0
    robots: Literal["obey", "ignore"] = "obey"
    robots_hours: Seconds = 24.0
    recheck: Duration = "never"
    ca_file: str = ""
    ports: tuple[Port, ...] = ()
    allow_networks: tuple[str, ...] = ()
    resolve: tuple[Override, ...] = ()
    resolve_file: str = ""

    @property
    def recheck_after(self) -> timedelta | None:
        """The age at which a captured page is due again; None is never."""
        return duration(self.recheck)


class CaptureSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is captured with a page so that it can be seen, and what of that one page may take at most."""

    requisites: Literal["page", "none"] = "page"
    max_requisites: Natural = 100
    max_requisites_mib: Positive = 20
    max_requisites_seconds: Limit = 60.0


class ArchiveSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How WARC files are written."""

    segment_mib: Positive = 1000
    sync_seconds: Seconds = 1.0


class ExtractSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the extractor may be given; `workers` is the number of its processes, 0 for one per processor.

    Without `at_once` a run archives alone: the next one that has it makes the texts.
    """

    at_once: bool = True
    max_mib: Positive = 10
    max_tags: Positive = 300_000
    max_depth: Positive = 512
    workers: Natural = 0

    @property
    def limits(self) -> ParserLimits:
        return ParserLimits(self.max_mib * MIB, self.max_tags, self.max_depth)


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a run is told. Paths in the file are relative to the file."""

    contact: str = ""
    archive: str = "archive"
    collection: Name = "main"
    sites: str = "sites"
    documents: DocumentSettings = msgspec.field(default_factory=DocumentSettings)
    fetch: FetchSettings = msgspec.field(default_factory=FetchSettings)
    capture: CaptureSettings = msgspec.field(default_factory=CaptureSettings)
    warc: ArchiveSettings = msgspec.field(default_factory=ArchiveSettings)
    extract: ExtractSettings = msgspec.field(default_factory=ExtractSettings)


def duration(text: str) -> timedelta | None:
    """`30d` -> 30 days; units s, m, h, d, w; `never` -> None."""
    return None if text == "never" else timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


# -------------------------------------------------------------------- loading


def packaged_config() -> Path:
    """The `config/` folder: beside the package in a checkout, inside it in a wheel."""
    inside = Path(__file__).parent / "_config"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "config"


def find_config(named: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file: `--config`, else SCRAPER_CONFIG, else ./config/scraper.toml, else the one of the package."""
    if named or environ.get("SCRAPER_CONFIG"):
        return Path(named or environ["SCRAPER_CONFIG"])
    here = Path("config/scraper.toml")
    return here if here.is_file() else packaged_config() / "scraper.toml"


def load(path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; `overrides` are `KEY=VALUE` with dotted keys, VALUE in TOML or a bare string.

    Raises `ConfigError` with the file, the key and what would be right.
    """
    tree = _read_toml(path)
    settings = _convert(tree, str(path))
    settings = _anchored(settings, path.parent)
    tree = msgspec.to_builtins(settings)
    for name, value in _from_environment(environ).items():
        tree = _checked_set(tree, name, value, f"environment variable {ENVIRONMENT_PREFIX}{_env_name(name)}")
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set {item}: write KEY=VALUE, for example --set fetch.delay_seconds=2")
        tree = _checked_set(tree, key.strip(), value.strip(), f"--set {item}")
    return _validated(_convert(tree, str(path)), str(path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such settings file; name one with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _convert(tree: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(str(error))}") from error


def _explain(message: str) -> str:
    """Turn msgspec's `… - at `$.fetch`` into words with the dotted key and, for a wrong name, the right ones."""
    text, _, where = message.partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(\w+)`", text)
    if unknown:
        known = sorted(_keys_below(key))
        full = f"{key}.{unknown[1]}" if key else unknown[1]
        return f"unknown key {full}; known here: {', '.join(known)}"
    text = text.replace("matching regex '^(never|[0-9]{1,6}[smh]|[0-9]{1,4}[dw])$'", "such as `30d`, `12h` or `never`")
    override = r"matching regex '^\\S+:[0-9]{1,5}=\\S+:[0-9]{1,5}$'"
    text = text.replace(override, "of the form `host:port=address:port`")
    return f"{key or 'settings'}: {text[:1].lower()}{text[1:]}"


def _keys_below(key: str) -> list[str]:
    tree: Any = msgspec.to_builtins(Settings())
    for part in filter(None, key.split(".")):
        tree = tree.get(part, {}) if isinstance(tree, dict) else {}
    return list(tree) if isinstance(tree, dict) else []


def known_keys(tree: Mapping[str, Any] | None = None, prefix: str = "") -> list[str]:
    """Every dotted key of the settings, in order."""
    found = []
    for name, value in (msgspec.to_builtins(Settings()) if tree is None else tree).items():
        found += known_keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return found


def _env_name(key: str) -> str:
    return key.replace(".", "_").upper()


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = {ENVIRONMENT_PREFIX + _env_name(key): key for key in known_keys()}
    found = {}
    for variable, value in environ.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in NOT_KEYS:
            if variable not in names:
                known = ", ".join(sorted(names))
                raise ConfigError(f"environment variable {variable} names no setting; known: {known}")
            found[names[variable]] = value
    return found


def _checked_set(tree: dict[str, Any], key: str, value: str, source: str) -> dict[str, Any]:
    if key not in known_keys():
        raise ConfigError(f"{source}: unknown key {key}; known: {', '.join(known_keys())}")
    changed = _with(tree, key.split("."), _toml_value(value))
    try:
        msgspec.convert(changed, Settings)
    except msgspec.ValidationError as error:
        # A bare number or word where text is wanted (`contact=1`): take it as it was written.
        as_text = _with(tree, key.split("."), value)
        try:
            msgspec.convert(as_text, Settings)
        except msgspec.ValidationError:
            raise ConfigError(f"{source}: {_explain(str(error))}") from error
        return as_text
    return changed


def _with(tree: Mapping[str, Any], parts: Sequence[str], value: Any) -> dict[str, Any]:
    head, *rest = parts
    return {**tree, head: _with(tree[head], rest, value) if rest else value}


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Make the file's relative paths relative to the file; `archive` stays relative to where the program runs."""

    def at(path: str) -> str:
        return str(folder / Path(path).expanduser()) if path else path

    return msgspec.structs.replace(
        settings,
        sites=at(settings.sites),
        documents=msgspec.structs.replace(settings.documents, paths=tuple(map(at, settings.documents.paths))),
        fetch=msgspec.structs.replace(
            settings.fetch, ca_file=at(settings.fetch.ca_file), resolve_file=at(settings.fetch.resolve_file)
        ),
    )


def _validated(settings: Settings, source: str) -> Settings:
    resolver_overrides(settings.fetch)
    for network in settings.fetch.allow_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"{source}: fetch.allow_networks: {error}; write one as 192.0.2.0/24") from error
    if any(ord(char) < 32 or ord(char) == 127 for char in settings.contact):
        raise ConfigError(f"{source}: contact: control characters cannot stand in a User-Agent")
    if not settings.contact.isascii():
        raise ConfigError(f"{source}: contact: only ASCII can stand in a User-Agent; write a mail address or a URL")
    return settings


def resolver_overrides(fetch: FetchSettings) -> dict[str, str]:
    """`host:port` -> `address:port`, from `resolve_file` (one `host:port=address:port` a line) and `resolve`."""
    lines = list(fetch.resolve)
    if fetch.resolve_file:
        try:
            lines = Path(fetch.resolve_file).read_text(encoding="utf-8").split() + lines
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{fetch.resolve_file}: fetch.resolve_file cannot be read: {error}") from error
    overrides = {}
    for line in lines:
        name, _, address = line.partition("=")
        if not re.fullmatch(r"[^\s=]+:[0-9]{1,5}=[^\s=]+:[0-9]{1,5}", line) or not _ports_exist(name, address):
            raise ConfigError(f"resolver override {line!r}: write host:port=address:port")
        overrides[name.lower()] = address
    return overrides


def _ports_exist(*places: str) -> bool:
    return all(0 < int(place.rpartition(":")[2]) <= 65535 for place in places)


# ----------------------------------------------------------------- site rules


class _SiteFile(Struct, forbid_unknown_fields=True):
    hosts: tuple[str, ...]
    title: str = ""
    subtitle: str = ""
    byline: str = ""
    published: str = ""
    section: str = ""
    body: str = ""
    caption: str = ""
    credit: str = ""
    related: str = ""
    remove: tuple[str, ...] = ()


def load_site_rules(folder: Path) -> tuple[SiteRules, ...]:
    """The rules of every `*.toml` in a folder; a missing folder is no rules."""
    rules = []
    for path in sorted(folder.glob("*.toml")):
        try:
            site = msgspec.convert(_read_toml(path), _SiteFile)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{path}: {error}") from error
        rules.append(SiteRules(**msgspec.structs.asdict(site)))
    return tuple(rules)
