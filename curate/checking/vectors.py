"""Vectors are of length 1, one a sample, and what their embedder makes of the sample."""

from __future__ import annotations

import numpy as np

from curate.catalog import checks, vectors
from curate.checking.look import Look, apply_rule
from curate.embedding.specs import is_superseded, loaded
from curate.errors import InputError, MissingExtra, SettingError
from curate.modalities import load_modality
from curate.workspace import Workspace

_LEAST_COSINE = 0.999
_EMBEDDED_AGAIN = 16


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
            continue  # another invariant names it
        if look.fast:
            look.notes.append(f"no sample was embedded again by {row.spec} (--fast)")
            continue
        if is_superseded(row):
            look.notes.append(f"no sample was embedded again by {row.spec}: {older_version(row)}")
            continue
        try:
            embedded += _embed_again(look, row)
        except (InputError, MissingExtra, SettingError) as error:
            look.notes.append(f"no sample was embedded again by {row.spec}, which cannot be loaded: {error}")
    return embedded


def older_version(row: vectors.EmbedderRow) -> str:
    """What to do about superseded vectors."""
    return f"the vectors of {row.slug} are of an earlier version (curate embed DATASET --embedder {row.spec} --replace)"


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
        for modality in sorted({content.modality for content in contents}):
            rows = [n for n, content in enumerate(contents) if content.modality == modality]
            kind = load_modality(modality)
            shown: list[str | bytes] = [
                contents[n].text or "" if kind.stored == "text" else _blob(look.workspace, contents[n]) for n in rows
            ]
            again[rows] = kind.embed(embedder, shown)
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
