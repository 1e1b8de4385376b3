"""What an export says of itself: the dataset card, the Croissant file and the manifest."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import __version__
from curate.exporting.contents import Contents
from curate.exporting.folder import MADE_BY, MANIFEST
from curate.writers import ExportInfo, Written
from curate.writers.cards.croissant import croissant
from curate.writers.cards.dataset_card import dataset_card
from curate.writers.layout.files import file_facts

MANIFEST_VERSION = 1


def describe(
    folder: Path, contents: Contents, info: ExportInfo, written: Written, format_: str, command: str, fingerprint: str
) -> dict[str, Any]:
    """Write the card, the Croissant file and the manifest, which is returned."""
    created = datetime.now(UTC)
    facts = contents.card(written, info, format_, created.date().isoformat())
    (folder / "README.md").write_text(dataset_card(facts), encoding="utf-8")
    files = list(file_facts(folder, written.files))
    text = json.dumps(croissant(facts, files), ensure_ascii=False, indent=1)
    (folder / "croissant.json").write_text(text + "\n", encoding="utf-8")
    files += file_facts(folder, ["README.md", "croissant.json"])
    split, origin = contents.what.split, contents.origin()
    manifest = {
        "made_by": MADE_BY,
        "manifest_version": MANIFEST_VERSION,
        "version": __version__,
        "created": created.isoformat(timespec="seconds"),
        "command": command,
        "name": contents.name,
        "dataset": contents.what.dataset.name,
        "format": format_,
        "fingerprint": fingerprint,
        "split": split
        and {"reference": split.reference, "part": contents.what.part, "recipe": split.recipe}
        | {"seed": split.seed, "members": split.members, "members_hash": split.members_hash},
        "rows": written.rows,
        "real": contents.real,
        "synthetic": contents.synthetic,
        "catalog": origin._asdict(),
        "notes": [*contents.notes, *written.notes],
        "files": [file._asdict() for file in files],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return manifest
