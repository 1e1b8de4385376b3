"""The laws of a workspace that are proved by more than SQL: files, hashes, similarities, vectors, groups.

Each law is one function: it reports what breaks it to `Look` and returns how many items it was held against.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import plugins
from curate.catalog import checks, datasets, splits, vectors
from curate.catalog.checks import SHOWN, Rule
from curate.catalog.splits import Split
from curate.embedding.specs import loaded
from curate.errors import InputError, MissingExtra, SettingError
from curate.workspace import BlobStore, Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_SIMILARITY_TOLERANCE = 1e-4
_THRESHOLD_TOLERANCE = 1e-6  # a float32 similarity of exactly 0.7 is stored as 0.69999999
_LEAST_COSINE = 0.999
_EMBEDDED_AGAIN = 16
_LEFTOVER = ".tmp"


@dataclass(frozen=True, slots=True)
class Finding:
    """One law that is broken.

    Attributes:
        law: its name.
        message: what is wrong.
        count: how many items are.
        ids: the first of them: of samples, or of what the message names.
        hint: what to do.
    """

    law: str
    message: str
    count: int
    ids: tuple[int, ...]
    hint: str


class Look:
    """What the laws look at, and where they report."""

    def __init__(self, workspace: Workspace, *, fast: bool, clean: bool) -> None:
        self.workspace = workspace
        self.catalog = workspace.catalog
        self.fast = fast
        self.clean = clean
        self.law = ""
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.removed = 0

    def broken(self, message: str, *, ids: Iterable[int] = (), count: int | None = None, hint: str) -> None:
        """Report that the law is broken."""
        named = heapq.nsmallest(SHOWN, ids)
        self.findings.append(Finding(self.law, message, len(named) if count is None else count, tuple(named), hint))


def apply_rule(look: Look, rule: Rule) -> int:
    """Hold a rule of the catalog; return how many rows it was held against."""
    look.law = rule.law
    found = checks.offenders(look.catalog, rule.offenders)
    if found.total:
        look.broken(rule.message.format(count=f"{found.total:,}"), ids=found.ids, count=found.total, hint=rule.hint)
    return checks.counted(look.catalog, rule)


# ── duplicates ──────────────────────────────────────────────────────────────────────────────────────────────────────


def evidence_is_true(look: Look) -> int:
    """Measure every similarity again, from the contents."""
    measured = 0
    tables = checks.vector_tables(look.catalog)
    older = {row.slug: row for row in vectors.embedders(look.catalog) if _is_superseded(row)}
    for method, settings, rows in checks.evidence_kinds(look.catalog):
        if method not in plugins.names("dedupers"):
            look.notes.append(f"{rows:,} rows of evidence by {method} were not measured again: no such deduper is installed")
            continue
        chosen = json.loads(settings)
        slug = chosen.pop("slug", None)
        try:
            deduper = plugins.load("dedupers", method)(**chosen)
        except SettingError as error:
            look.broken(f"{rows:,} rows of evidence by {method} have settings it refuses: {error}", count=rows, hint=_DEDUPE)
            continue
        if deduper.consumes == "vectors" and slug not in tables:
            look.broken(
                f"{rows:,} rows of evidence by {method} rest on vectors of {slug!r}, which are gone", count=rows, hint=_DEDUPE
            )
            continue
        if slug in older:
            look.notes.append(f"{rows:,} rows of evidence by {method} were not measured again: {_older(older[slug])}")
            continue
        seen = _measure_again(look, method, settings, deduper, slug)
        if seen < rows:
            look.notes.append(f"{rows - seen:,} superseded rows of evidence by {method} were not measured again")
        measured += seen
    return measured


def _is_superseded(row: vectors.EmbedderRow) -> bool:
    """Whether vectors are of an earlier version of an embedder that comes with `curate`: sound, but not like new ones."""
    name = row.spec.partition(":")[0]
    if name not in plugins.own("embedders"):
        return False
    return row.fingerprint in getattr(plugins.load("embedders", name), "superseded", frozenset())


def _older(row: vectors.EmbedderRow) -> str:
    """What to do about superseded vectors."""
    return f"the vectors of {row.slug} are of an earlier version (curate embed DATASET --embedder {row.spec} --replace)"


def _measure_again(look: Look, method: str, settings: str, deduper: Any, slug: str | None) -> int:
    seen, lost, false = 0, _Some(), _Some()
    for batch in checks.evidence_pairs(look.catalog, method, settings, deduper.consumes, slug):
        seen += batch.num_rows
        ids = batch["duplicate_id"].to_numpy()
        there = np.asarray(batch["a"].is_valid()) & np.asarray(batch["b"].is_valid())
        lost.extend(ids[~there])
        if not there.any():
            continue
        present = batch.filter(_mask(there))
        now = deduper.similarity(*(_content(present[side], deduper.consumes) for side in ("a", "b"))).astype(np.float64)
        stored, threshold = present["similarity"].to_numpy(), present["threshold"].to_numpy()
        wrong = (np.abs(now - stored) > _SIMILARITY_TOLERANCE) | (stored < threshold - _THRESHOLD_TOLERANCE)
        false.extend(ids[there][wrong])
    if lost.count:
        message = f"{lost.count:,} rows of evidence by {method} name samples whose content is not there"
        look.broken(message, ids=lost.ids, count=lost.count, hint=_DEDUPE)
    if false.count:
        message = f"{false.count:,} rows of evidence by {method} are not as similar as they say (ids of `duplicates`)"
        look.broken(message, ids=false.ids, count=false.count, hint=_DEDUPE)
    return seen


def _content(column: pa.Array, consumes: str) -> Any:
    """A column of evidence in the form in which dedupers compare it."""
    import pyarrow as pa

    if consumes == "text":
        return column.cast(pa.large_string())
    if consumes == "hash":
        digests = bytes.fromhex("".join(value[:32] for value in column.to_pylist()))
        return np.frombuffer(digests, np.uint8).reshape(-1, 16)
    return _matrix(column)


# ── splits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def splits_hash_as_they_say(look: Look) -> int:
    """Hash the members of every version again, and count them."""
    everyone = splits.every(look.catalog)
    for split in everyone:
        digest, members, unknown = hashlib.sha256(), 0, 0
        for batch in checks.member_lines(look.catalog, split):
            lines = batch["line"].to_pylist()
            members += len(lines)
            unknown += lines.count(None)
            digest.update("".join(f"{line}\n" for line in lines if line is not None).encode())
        # members that are not real samples break another law, and then nobody can know the hash
        if not unknown and (members, digest.hexdigest()) != (split.members, split.members_hash):
            look.broken(
                f"the members of {split.reference} are not those that were frozen (id of `splits`)",
                ids=[split.split_id],
                hint=f"curate split {split.dataset} --name other",
            )
    return len(everyone)


def no_group_crosses_the_newest_splits(look: Look) -> int:
    """Find the groups anew, by all that is known today, for the newest version of each split."""
    newest: dict[tuple[int, str], Split] = {(s.dataset_id, s.name): s for s in splits.every(look.catalog)}
    return sum(_check_groups(look, split) for split in newest.values())


def _check_groups(look: Look, split: Split) -> int:
    import pyarrow.compute as pc

    from curate.splitting.groups import group_samples

    home = datasets.find(look.catalog, split.dataset)
    population = splits.population(look.catalog, home, group=split.recipe.get("group"))
    members = splits.members(look.catalog, split)
    found = group_samples(look.catalog, population)
    rows = pc.index_in(members["sample_id"], population["sample_id"].combine_chunks())
    known = np.asarray(rows.is_valid())
    group = found.group[rows.drop_null().to_numpy()]
    part = members["part"].combine_chunks().dictionary_encode().indices.to_numpy()[known]
    ids = members["sample_id"].to_numpy()[known]
    first = np.full(len(found.keys), -1, np.int64)
    first[group[::-1]] = part[::-1]
    crossing = np.unique(group[first[group] != part])
    if len(crossing):
        look.broken(
            f"{len(crossing):,} groups of duplicates stand in more than one part of {split.reference}, as is known today",
            ids=ids[np.isin(group, crossing)].tolist(),
            count=len(crossing),
            hint=f"curate split {split.dataset} --name {split.name} with its settings, which freezes a version without them",
        )
    return len(found.keys)


# ── vectors ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def vectors_are_sound(look: Look) -> int:
    """Every vectors table has its embedder's row and dimension; its vectors are of length 1, one a sample."""
    tables = checks.vector_tables(look.catalog)
    known = {row.slug: row for row in vectors.embedders(look.catalog)}
    for slug in sorted(tables.keys() - known.keys()):
        look.broken(
            f"nobody knows which embedder made the table vectors_{slug}", count=1, hint=f"drop the table vectors_{slug}"
        )
    for slug, row in sorted(known.items()):
        wanted = f"FLOAT[{row.dimension}]"
        if tables.get(slug) != wanted:
            message = f"the table vectors_{slug} should hold {wanted}, it is {tables.get(slug, 'not there')}"
            look.broken(message, count=1, hint="curate embed DATASET --replace")
    return sum(max(apply_rule(look, rule) for rule in checks.vector_rules(slug)) for slug in sorted(tables))


def embedders_make_their_vectors(look: Look) -> int:
    """Embed a few random samples anew; an embedder that cannot be loaded is noted."""
    embedded = 0
    tables = checks.vector_tables(look.catalog)
    for row in vectors.embedders(look.catalog):
        if f"FLOAT[{row.dimension}]" != tables.get(row.slug):
            continue  # another law names it
        if look.fast:
            look.notes.append(f"no sample was embedded again by {row.spec} (--fast)")
            continue
        if _is_superseded(row):
            look.notes.append(f"no sample was embedded again by {row.spec}: {_older(row)}")
            continue
        try:
            embedded += _embed_again(look, row)
        except (InputError, MissingExtra, SettingError) as error:
            look.notes.append(f"no sample was embedded again by {row.spec}, which cannot be loaded: {error}")
    return embedded


def _embed_again(look: Look, row: vectors.EmbedderRow) -> int:
    chosen = checks.some_with_vectors(look.catalog, row.slug, _EMBEDDED_AGAIN)
    if not chosen:
        return 0
    hint = f"curate embed DATASET --embedder {row.spec} --replace"
    with loaded(look.workspace, row.spec) as embedder:
        if (embedder.fingerprint, embedder.dimension) != (row.fingerprint, row.dimension):
            message = f"the vectors of {row.slug} were made by another model or version of {row.spec} than is installed"
            look.broken(message, count=1, hint=hint)
            return len(chosen)
        ids, stored = vectors.load(look.catalog, row.slug, sample_ids=np.array(chosen), origin="all")
        contents = vectors.contents(look.catalog, ids)
        again = np.empty_like(stored)
        for modality in ("text", "image"):
            rows = [n for n, content in enumerate(contents) if content.modality == modality]
            if rows and modality == "text":
                again[rows] = embedder.embed_texts([contents[n].text or "" for n in rows])
            elif rows:
                again[rows] = embedder.embed_images([_blob(look.workspace, contents[n]) for n in rows])
    off = ids[~((again * stored).sum(axis=1) > _LEAST_COSINE)]
    if len(off):
        message = f"{len(off)} of {len(ids)} samples embedded again by {row.slug} have another vector than is stored"
        look.broken(message, ids=off.tolist(), count=len(off), hint=hint)
    return len(ids)


def _blob(workspace: Workspace, content: vectors.Content) -> bytes:
    store = workspace.real if content.origin == "real" else workspace.synthetic
    try:
        return store.read(content.blob or "")
    except OSError as error:
        raise InputError(f"the blob of sample {content.sample_id} cannot be read: {error.strerror}") from error


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def blobs_are_what_they_say(look: Look) -> int:
    """Every blob that a sample names lies there with its size and its hash; files that none names are noted."""
    workspace = look.workspace
    pairs = (("real_samples", workspace.real), ("synthetic_samples", workspace.synthetic))
    return sum(_check_store(look, table, store) for table, store in pairs)


def _check_store(look: Look, table: str, store: BlobStore) -> int:
    seen, orphans, leftovers, bad = 0, 0, 0, _Some()
    on_disk = iter(store.names())
    name = next(on_disk, None)
    with ThreadPoolExecutor(look.workspace.threads) as pool:
        for batch in checks.blobs(look.catalog, table):
            rows = batch.to_pylist()
            sound = pool.map(lambda row: _is_sound(store, row, fast=look.fast), rows)
            bad.extend(row["sample_id"] for row, is_sound in zip(rows, sound, strict=True) if not is_sound)
            seen += len(rows)
            for row in rows:  # both sides rise, so one walk finds the files that no sample names
                while name is not None and name < row["blob"]:
                    orphans, leftovers = _count_stray(look, store, name, orphans, leftovers)
                    name = next(on_disk, None)
                if name == row["blob"]:
                    name = next(on_disk, None)
    while name is not None:
        orphans, leftovers = _count_stray(look, store, name, orphans, leftovers)
        name = next(on_disk, None)
    where = f"blobs/{store.root.name}"
    if bad.count:
        hint = "ingest the files they came from again, or restore the blobs from a backup"
        look.broken(f"{bad.count:,} blobs below {where} are missing or damaged", ids=bad.ids, count=bad.count, hint=hint)
    if orphans:
        look.notes.append(
            f"{orphans:,} files below {where} belong to no sample (an interrupted run wrote them; ingest takes them up)"
        )
    if leftovers:
        look.notes.append(
            f"{leftovers:,} leftovers of killed writes below {where}"
            + (" were removed" if look.clean else "; --clean removes them")
        )
    return seen


def _is_sound(store: BlobStore, row: dict[str, Any], *, fast: bool) -> bool:
    path = store.path(row["blob"])
    try:
        if row["is_torn"] or row["blob"] != store.name(row["content_hash"], Path(row["blob"]).suffix):
            return False
        if path.stat().st_size != row["size_bytes"]:
            return False
        return fast or _file_hash(path) == row["content_hash"]
    except OSError:
        return False


def _count_stray(look: Look, store: BlobStore, name: str, orphans: int, leftovers: int) -> tuple[int, int]:
    if not name.endswith(_LEFTOVER):
        return orphans + 1, leftovers
    if look.clean:
        store.path(name).unlink(missing_ok=True)
        look.removed += 1
    return orphans, leftovers + 1


def models_are_what_they_say(look: Look) -> int:
    """Every trained model's weights lie there with their hash."""
    trained = checks.trained_models(look.catalog)
    for model_id, name, folder, expected in trained:
        path = look.workspace.root / "models" / folder / "model.safetensors"
        if not path.is_file() or (not look.fast and _file_hash(path) != expected):
            state = "damaged" if path.is_file() else "missing"
            look.broken(f"the weights of the model {name} are {state} (id of `models`)", ids=[model_id], hint="train it again")
    return len(trained)


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Some:
    """Counts ids and keeps the smallest few of them."""

    def __init__(self) -> None:
        self.count = 0
        self.ids: list[int] = []

    def extend(self, ids: Iterable[int]) -> None:
        new = [int(i) for i in ids]
        self.count += len(new)
        self.ids = heapq.nsmallest(SHOWN, [*self.ids, *new])


def _mask(there: NDArray[np.bool_]) -> pa.Array:
    import pyarrow as pa

    return pa.array(there)


def _matrix(column: pa.Array) -> NDArray[np.float32]:
    """(n, d) from a column of fixed-size lists without NULLs."""
    return column.flatten().to_numpy().reshape(len(column), -1)


_DEDUPE = "curate dedupe DATASET, which judges anew"
