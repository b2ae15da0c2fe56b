"""What the state forgets of visits before their records are read again."""

from __future__ import annotations

from scraper.state.pending import Pending

_OF_WARC = "SELECT id FROM visits WHERE collection = :collection AND warc = :warc"
_ELSEWHERE = "collection = :collection AND warc != :warc"


class Forgetting(Pending):
    """The state file, as far as visits can be taken out of it. Changes are pending until `commit`."""

    def forget_visits(self) -> None:
        """Before they are read again from the WARCs: every target is pending, documents and hosts stay."""
        self.write_pending()
        self._run(
            "UPDATE targets SET state = 'pending', reason = '', due_at = NULL, failures = 0, visited_at = NULL, "
            "good = NULL"
        )
        for table in ("uses", "visits", "payloads", "segments"):
            self._run(f"DELETE FROM {table}")

    def forget_warc(self, collection: str, warc: str) -> set[str]:
        """Before one WARC is read again: its visits go, what was visited is pending, and its payloads are not held.

        Gives the texts of these visits: paths without suffix, relative to the collection's folder.
        """
        self.write_pending()
        values = {"collection": collection, "warc": warc}
        texts = self._run(f"SELECT text_path FROM visits WHERE id IN ({_OF_WARC}) AND text_path > ''", values)
        forgotten = {row[0] for row in texts}
        self._run(
            "UPDATE targets SET state = 'pending', reason = '', due_at = NULL, failures = 0, visited_at = NULL, "
            "good = (SELECT max(v.id) FROM visits v WHERE v.target = targets.id AND v.state = 'captured' "
            f"AND v.id NOT IN ({_OF_WARC})) WHERE id IN (SELECT target FROM visits WHERE id IN ({_OF_WARC}))",
            values,
        )
        contents = f"SELECT entity_sha256 FROM visits WHERE id IN ({_OF_WARC})"
        self._run(f"DELETE FROM payloads WHERE collection = :collection AND entity_sha256 IN ({contents})", values)
        self._run(
            "INSERT OR IGNORE INTO payloads SELECT collection, entity_sha256, held FROM visits "
            f"WHERE {_ELSEWHERE} AND held IS NOT NULL AND entity_sha256 IN ({contents}) ORDER BY id",
            values,
        )
        self._run(f"DELETE FROM uses WHERE page IN ({_OF_WARC}) OR requisite IN ({_OF_WARC})", values)
        self._run(f"UPDATE visits SET of_visit = NULL WHERE of_visit IN ({_OF_WARC})", values)
        for table in ("visits", "segments"):
            self._run(f"DELETE FROM {table} WHERE collection = :collection AND warc = :warc", values)
        return forgotten

    def forget_text(self, collection: str, path: str) -> None:
        """Before a text is made again: no visit has it."""
        self._run(
            "UPDATE visits SET text_path = NULL, title = NULL WHERE collection = ? AND text_path = ?",
            (collection, path),
        )
