"""`python -m tests.fuzz TARGET SECONDS [CORPUS]`: one target under atheris, which must be installed beside scraper.

A crash is written to `crash-…` in the working folder by libFuzzer; what was found interesting, to CORPUS.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Fuzz until the time is over or something is found."""
    if len(arguments) not in (2, 3) or not arguments[1].isdecimal():
        raise SystemExit(__doc__)
    try:
        atheris = importlib.import_module("atheris")
    except ModuleNotFoundError:
        raise SystemExit("atheris is not installed: `pip install atheris` beside scraper, then again") from None
    with atheris.instrument_imports(include=["scraper"], enable_loader_override=False):
        from .targets import all_targets

        name, seconds = arguments[0], int(arguments[1])
        target = all_targets()[name]
    corpus = Path(arguments[2] if len(arguments) > 2 else tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = corpus.parent / f"{corpus.name}.dict"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in target.tokens))
    # What takes ten seconds is as much a find as what raises.
    options = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=20000", f"-dict={words}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.check)
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main(sys.argv[1:])
