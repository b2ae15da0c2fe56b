"""What a document cites, in which role, and which of it would be fetched."""

from __future__ import annotations

from pathlib import Path

from scraper.citations import read_document, selected
from scraper.model import Role

SEED = Path(__file__).parent.parent / "config" / "documents" / "000_b5dde23a3ed5c483.txt"
SEED_URL = (
    "https://www.themoscowtimes.com/2019/09/09/"
    "france-says-eu-and-russia-must-rebuild-trust-but-too-early-to-end-sanctions-a67209"
)


def test_the_seed_document_names_exactly_its_original():
    document = read_document(SEED.read_bytes(), SEED.name)
    assert [(citation.url, citation.role, citation.line) for citation in document.citations] == [
        (SEED_URL, Role.ORIGINAL, 37)
    ]
    assert [excluded for _, excluded in selected(document)] == [None]
