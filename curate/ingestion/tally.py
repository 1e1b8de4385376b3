"""The counts of a whole ingest."""

from __future__ import annotations

from collections import Counter

from curate.catalog.sources import Source

NAMED = 5
"""Files without records that a note names; the others are counted."""


class Tally:
    """The counts of a whole ingest; `read = added + unchanged + rejected`."""

    def __init__(self) -> None:
        self.read = self.added = self.unchanged = self.rejected = self.changed = self.updated = 0
        self.skipped: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.empty: list[str] = []
        """Names of files that hold neither a record nor a reject nor a skipped member."""

    def add_unchanged_file(self, old: Source) -> None:
        """Count a file that was not opened, as it was counted when it was last read."""
        self.read += old.read
        self.unchanged += old.read - old.rejected
        self.rejected += old.rejected
        if old.rejected:
            self.reasons["(as before, in unchanged files)"] += old.rejected
        if old.skipped:
            self.skipped["(as before, in unchanged files)"] += old.skipped
        if not old.read and not old.skipped:
            self.empty.append(old.uri)

    def counts(self) -> dict[str, int]:
        """The figures that the run's row holds."""
        return {name: getattr(self, name) for name in ("read", "added", "unchanged", "rejected", "changed", "updated")}

    def notes(self, *, update: bool) -> tuple[str, ...]:
        """What the user should know beside the figures."""
        notes = []
        if self.changed and not update:
            notes.append(
                f"{self.changed:,} records are here already and now come with another label, id or metadata; "
                "they were left as they are (--update takes the new ones over)"
            )
        if self.empty:
            named = ", ".join(name.rsplit("/", 1)[-1] for name in self.empty[:NAMED])
            more = f" and {len(self.empty) - NAMED:,} more" if len(self.empty) > NAMED else ""
            count = "1 file holds" if len(self.empty) == 1 else f"{len(self.empty):,} files hold"
            notes.append(f"{count} no records: {named}{more}")
        return tuple(notes)
