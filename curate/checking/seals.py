"""Every row is as its run sealed it, the schema is the migrations' own, and every file of a model is as it was trained."""

from __future__ import annotations

from curate.catalog import checks, files, schema, seals
from curate.catalog.seals import Broken
from curate.checking.look import FROM_BACKUP, Look
from curate.workspace.sealed_files import altered_files, file_hash, settings_file

_SHOWN = 20


def rows_are_as_sealed(look: Look) -> int:
    """Digest every table again, by the run that its rows name."""
    broken = seals.broken(look.catalog)
    for one in broken[:_SHOWN]:
        ids = [one.run_id] if one.run_id else []
        look.broken(_sentence(one), ids=ids, count=max(abs(one.found - (one.sealed or 0)), 1), hint=FROM_BACKUP)
    if len(broken) > _SHOWN:
        look.broken(f"and {len(broken) - _SHOWN:,} more runs' rows", count=len(broken) - _SHOWN, hint=FROM_BACKUP)
    return seals.sealed_rows(look.catalog)


def _sentence(one: Broken) -> str:
    whose = f"rows of run {one.run_id} in the table {one.table}" if one.run_id else f"rows in the table {one.table}"
    if one.damage:
        return f"the table {one.table} cannot be read: {one.damage}"
    if one.table == "seals":
        return f"a seal in the table seals was itself altered (of run {one.run_id})"
    if one.sealed is None:
        return f"{one.found:,} {whose} were sealed by no run"
    by = f" by run {one.sealed_by}" if one.sealed_by and one.sealed_by != one.run_id else ""
    if one.sealed != one.found:
        return f"{one.sealed:,} {whose} were sealed{by}, and {one.found:,} are there"
    return f"of {one.sealed:,} {whose}, sealed{by}, some were altered"


def schema_is_the_migrations(look: Look) -> int:
    """Compare every table, view, index and sequence with those of a fresh catalog."""
    for found in schema.differences(look.catalog):
        message = {
            "missing": f"the {found.kind} {found.name} is missing",
            "altered": f"the {found.kind} {found.name} is not as the migrations define it",
            "unknown": f"the {found.kind} {found.name} was made by no migration",
        }[found.state]
        look.broken(message, count=1, hint=FROM_BACKUP)
    return schema.defined(look.catalog)


def models_are_what_they_say(look: Look) -> int:
    """Every trained model's weights lie there with their hash, and every other file as it was sealed."""
    trained = checks.trained_models(look.catalog)
    root = look.workspace.root
    for model_id, name, folder, expected in trained:
        path = root / "models" / folder / "model.safetensors"
        if not path.is_file() or (not look.fast and file_hash(path) != expected):
            state = "damaged" if path.is_file() else "missing"
            look.broken(f"the weights of the model {name} are {state} (id of `models`)", ids=[model_id], hint="train it again")
        for file, state in altered_files(root, look.catalog, model_id, folder, fast=look.fast):
            if not file.endswith("/model.safetensors"):
                message = f"{file} of the model {name} is {'not one of its files' if state == 'unknown' else state}"
                hint = "put it back from a backup, or train again under another name"
                look.broken(f"{message} (id of `models`)", ids=[model_id], hint=hint)
    for _, name, _ in files.unsealed_models(look.catalog):
        look.notes.append(f"the files of the model {name} are under no seal")
    _note_settings(look)
    return len(trained)


def _note_settings(look: Look) -> None:
    known = [file for file in files.sealed(look.catalog) if file.model_id is None]
    if known and settings_file(look.workspace.root) not in known:
        look.notes.append("curate.toml was edited since the last run; the next command that writes takes it over")
