"""What `check` asks the catalog: the invariants that SQL can prove, and the streams from which the others are proved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from curate.catalog._connection import Catalog
from curate.catalog.splits import Split

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 20
"""How many offending ids are named."""


class Rule(NamedTuple):
    """An invariant, or a clause of one: `offenders` selects the ids that break it and is empty in a sound workspace.

    `message` has the place {count}; `counted` says how many rows the invariant was held against.
    """

    invariant: str
    counted: str
    offenders: str
    message: str
    hint: str


NOTED: tuple[tuple[str, str], ...] = (
    (
        """SELECT count(*) FROM current_verdicts v JOIN duplicates e USING (duplicate_id)
           JOIN current_verdicts k ON k.sample_id = e.keeper_id
           WHERE v.action = 'drop' AND v.owner = 'dedupe' AND k.action = 'drop' AND k.owner NOT IN ('user', 'dedupe')""",
        "{count} samples stand dropped in favour of one that a filter or a protection dropped since; the next dedupe judges"
        " them anew",
    ),
)
"""What is worth saying and breaks nothing: a count, and a sentence with the place {count}."""

_TEXTS = "(SELECT sample_id, text, content_hash FROM {table} WHERE blob IS NULL)"
_BOTH = "(SELECT sample_id FROM real_samples UNION ALL SELECT sample_id FROM synthetic_samples)"
_FROM_BACKUP = "restore the catalog from a backup"

RULES: tuple[Rule, ...] = (
    Rule(
        "ingest counts",
        "SELECT count(*) FROM runs WHERE step = 'ingest' AND (status = 'done' OR counts IS NOT NULL)",
        """SELECT run_id FROM runs WHERE step = 'ingest' AND (status = 'done' OR counts IS NOT NULL)
           AND coalesce((counts->>'read')::BIGINT, -1) IS DISTINCT FROM
               coalesce((counts->>'added')::BIGINT + (counts->>'unchanged')::BIGINT + (counts->>'rejected')::BIGINT, -2)""",
        "{count} ingest runs read another number of records than they added, found unchanged and rejected",
        "ingest the same paths again",
    ),
    Rule(
        "added samples",
        "SELECT count(*) FROM runs WHERE step = 'ingest' AND counts IS NOT NULL",
        """SELECT r.run_id FROM runs r
           LEFT JOIN (SELECT run_id, count(*) AS n FROM real_samples GROUP BY run_id) s USING (run_id)
           WHERE r.step = 'ingest' AND r.counts IS NOT NULL AND (r.counts->>'added')::BIGINT <> coalesce(s.n, 0)
             AND NOT EXISTS (SELECT 1 FROM runs gone WHERE gone.step = 'remove' AND gone.dataset = r.dataset
                             AND gone.run_id > r.run_id AND gone.counts IS NOT NULL)""",
        "{count} ingest runs added another number of samples than are there: real samples were deleted or slipped in",
        _FROM_BACKUP,
    ),
    Rule(
        "rejects",
        "SELECT count(*) FROM sources",
        """SELECT s.source_id FROM sources s
           LEFT JOIN (SELECT source_id, count(*) AS n FROM rejects GROUP BY 1) r USING (source_id)
           WHERE s.rejected <> coalesce(r.n, 0)""",
        "{count} sources have another number of rejects than they count",
        "ingest the same paths again with --update",
    ),
    Rule(
        "sources",
        "SELECT count(*) FROM sources",
        "SELECT source_id FROM sources WHERE NOT complete",
        "{count} sources were not read to their end, because a run was cut short",
        "run the same ingest again; it goes on where it stopped",
    ),
    Rule(
        "runs",
        "SELECT count(*) FROM runs",
        "SELECT run_id FROM runs WHERE status = 'running'",
        "{count} runs are still marked as running",
        "any command that writes marks the dead ones as interrupted; wait for living ones",
    ),
    Rule(
        "kept and dropped",
        "SELECT count(*) FROM real_samples",
        """SELECT s.sample_id FROM real_samples s LEFT JOIN curated c USING (sample_id)
           LEFT JOIN (SELECT sample_id FROM current_verdicts WHERE action = 'drop') d USING (sample_id)
           WHERE (c.sample_id IS NULL) = (d.sample_id IS NULL)""",
        "{count} samples are neither kept nor dropped, for their source or dataset is gone",
        _FROM_BACKUP,
    ),
    Rule(
        "verdicts",
        "SELECT count(*) FROM verdicts",
        "SELECT verdict_id FROM verdicts ANTI JOIN real_samples USING (sample_id)",
        "{count} verdicts are about samples that are not there",
        _FROM_BACKUP,
    ),
    Rule(
        "identity",
        "SELECT count(*) FROM real_samples",
        "SELECT max(sample_id) FROM real_samples GROUP BY source_id, content_hash, occurrence HAVING count(*) > 1",
        "{count} identities (source, content hash, occurrence) are there more than once",
        _FROM_BACKUP,
    ),
    Rule(
        "keepers",
        "SELECT count(*) FROM current_verdicts WHERE action = 'drop' AND duplicate_id IS NOT NULL",
        """SELECT v.sample_id FROM current_verdicts v LEFT JOIN duplicates e USING (duplicate_id)
           LEFT JOIN real_samples k ON k.sample_id = e.keeper_id LEFT JOIN current_verdicts w ON w.sample_id = e.keeper_id
           WHERE v.action = 'drop' AND v.duplicate_id IS NOT NULL
             AND (e.sample_id IS DISTINCT FROM v.sample_id OR k.sample_id IS NULL
                  OR (v.owner = 'dedupe' AND w.action = 'drop' AND w.owner = 'dedupe' AND NOT EXISTS (
                      -- a frozen member of another dataset's split is there still, for whoever is measured by it
                      SELECT 1 FROM split_members m JOIN real_samples s ON s.sample_id = v.sample_id
                      WHERE m.sample_id = e.keeper_id AND k.dataset_id <> s.dataset_id)))""",
        "{count} samples were dropped in favour of one that is not kept",
        "curate dedupe DATASET, which judges anew",
    ),
    Rule(
        "content hashes",
        f"SELECT (SELECT count(*) FROM {_TEXTS.format(table='real_samples')}) + "
        f"(SELECT count(*) FROM {_TEXTS.format(table='synthetic_samples')})",
        " UNION ALL ".join(
            f"SELECT sample_id FROM {_TEXTS.format(table=table)} WHERE sha256(text) IS DISTINCT FROM content_hash"
            for table in ("real_samples", "synthetic_samples")
        ),
        "{count} texts are not what their content hash says",
        _FROM_BACKUP,
    ),
    Rule(
        "origins",
        "SELECT count(*) FROM synthetic_samples",
        """SELECT sample_id FROM real_samples SEMI JOIN synthetic_samples USING (sample_id)
           UNION SELECT sample_id FROM split_members SEMI JOIN synthetic_samples USING (sample_id)""",
        "{count} synthetic samples pass for real ones, in the table of the real or in a split",
        _FROM_BACKUP,
    ),
    Rule(
        "split members",
        "SELECT count(*) FROM split_members",
        f"SELECT sample_id FROM split_members ANTI JOIN {_BOTH} USING (sample_id)",
        "{count} members of splits are not there",
        _FROM_BACKUP,
    ),
    Rule(
        "split members",
        "SELECT count(*) FROM split_members",
        """SELECT s.sample_id FROM split_members m JOIN splits p USING (split_id) JOIN real_samples s USING (sample_id)
           WHERE s.dataset_id <> p.dataset_id""",
        "{count} members of splits belong to another dataset",
        "curate split DATASET --name other",
    ),
    Rule(
        "split members",
        "SELECT count(*) FROM split_members",
        "SELECT sample_id FROM split_members GROUP BY split_id, sample_id HAVING count(*) > 1",
        "{count} samples are twice in a split",
        "curate split DATASET --name other",
    ),
    Rule(
        "split groups",
        "SELECT count(DISTINCT (split_id, group_key)) FROM split_members",
        """SELECT min(sample_id) FROM split_members GROUP BY split_id, group_key HAVING min(part) <> max(part)""",
        "{count} groups stand in more than one part of a split; one sample of each is named",
        "curate split DATASET --name other",
    ),
    Rule(
        "split groups",
        "SELECT count(DISTINCT (split_id, group_key)) FROM split_members",
        """SELECT DISTINCT a.sample_id FROM duplicates d JOIN split_members a ON a.sample_id = d.sample_id
           JOIN split_members b ON b.sample_id = d.keeper_id AND b.split_id = a.split_id
           JOIN splits p ON p.split_id = a.split_id
           WHERE a.part <> b.part AND d.run_id <= p.run_id
             AND p.version < (SELECT max(q.version) FROM splits q WHERE q.dataset_id = p.dataset_id AND q.name = p.name)""",
        "{count} duplicates stood in another part than their keeper when an older version of a split was frozen",
        "curate split DATASET --name other",
    ),
    Rule(
        "split parents",
        "SELECT count(*) FROM synthetic_samples WHERE parents::VARCHAR <> '[]'",
        """SELECT s.sample_id FROM (SELECT sample_id, model_id, unnest(from_json(parents, '["BIGINT"]')) AS parent
                                    FROM synthetic_samples) s
           JOIN model_sources o USING (model_id)
           JOIN split_members held ON held.split_id = o.split_id AND held.sample_id = s.parent
           WHERE held.part <> 'train'""",
        "{count} synthetic samples were made from a parent that is held out",
        "curate export without --include-synthetic, and generate anew",
    ),
    Rule(
        "provenance",
        "SELECT count(*) FROM synthetic_samples",
        f"""SELECT s.sample_id FROM synthetic_samples s LEFT JOIN models m USING (model_id)
            WHERE m.checkpoint_hash IS NULL OR s.depth <= m.depth
               OR NOT EXISTS (SELECT 1 FROM model_sources o JOIN splits p USING (split_id) WHERE o.model_id = s.model_id)
               OR NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = s.run_id)
               OR (s.text IS NULL AND s.blob IS NULL)
               OR json_type(s.settings) <> 'OBJECT' OR json_type(s.parents) <> 'ARRAY'
            UNION SELECT u.sample_id FROM (SELECT sample_id, unnest(from_json(parents, '["BIGINT"]')) AS parent
                                           FROM synthetic_samples) u
            ANTI JOIN {_BOTH} b ON b.sample_id = u.parent
            UNION SELECT n.sample_id FROM synthetic_samples n ANTI JOIN real_samples r ON r.sample_id = n.nearest_id
            WHERE n.nearest_id IS NOT NULL""",
        "{count} synthetic samples cannot be traced: a checkpoint, split, run, parent or the content is missing",
        "they cannot be trusted: generate anew",
    ),
)


class Offenders(NamedTuple):
    """How many rows break a rule, and the first of their ids."""

    total: int
    ids: tuple[int, ...]


def counted(catalog: Catalog, rule: Rule) -> int:
    """How many rows a rule is held against."""
    return int(catalog.scalar(rule.counted))


def offenders(catalog: Catalog, statement: str) -> Offenders:
    """Run a statement that selects offending ids."""
    rows = catalog.rows(f"SELECT id, count(*) OVER () FROM ({statement}) broken(id) ORDER BY id LIMIT {SHOWN}")
    return Offenders(int(rows[0][1]) if rows else 0, tuple(int(row[0]) for row in rows))


def noted(catalog: Catalog) -> list[str]:
    """The sentences of `NOTED` whose count is not 0."""
    counted = ((int(catalog.scalar(statement)), sentence) for statement, sentence in NOTED)
    return [sentence.format(count=f"{count:,}") for count, sentence in counted if count]


def evidence_kinds(catalog: Catalog) -> list[tuple[str, str, int]]:
    """(method, settings as JSON, rows) of all evidence."""
    return catalog.rows("SELECT method, settings::VARCHAR, count(*) FROM duplicates GROUP BY ALL ORDER BY ALL")


def evidence_pairs(catalog: Catalog, method: str, settings: str, consumes: str, slug: str | None) -> Iterator[pa.RecordBatch]:
    """Stream one kind of evidence with the contents it compared: duplicate_id, similarity, threshold, a, b.

    Evidence by vectors is limited to what a standing verdict rests on: older vectors may have been replaced since.
    A content that is not there is NULL.
    """
    if consumes == "vectors":
        of, column = f"vectors_{slug}", "vector"
        current = "SEMI JOIN current_verdicts v ON v.duplicate_id = d.duplicate_id AND v.action = 'drop'"
    else:
        of, column, current = "real_samples", "text" if consumes == "text" else "content_hash", ""
    yield from catalog.stream(
        f"""SELECT d.duplicate_id, d.similarity, d.threshold, a.{column} AS a, b.{column} AS b
            FROM (SELECT * FROM duplicates WHERE method = ? AND settings::VARCHAR = ?) d {current}
            LEFT JOIN {of} a ON a.sample_id = d.sample_id LEFT JOIN {of} b ON b.sample_id = d.keeper_id""",
        [method, settings],
        batch_rows=512,
    )


def member_lines(catalog: Catalog, split: Split) -> Iterator[pa.RecordBatch]:
    """Stream what a split's hash is over, sorted: line; NULL for a member that is no real sample."""
    yield from catalog.stream(
        """SELECT s.content_hash || ' ' || m.part AS line FROM split_members m LEFT JOIN real_samples s USING (sample_id)
           WHERE m.split_id = ? ORDER BY line""",
        [split.split_id],
        batch_rows=8192,
    )


def blobs(catalog: Catalog, table: str) -> Iterator[pa.RecordBatch]:
    """Stream the distinct blobs of real_samples or synthetic_samples, by name: blob, content_hash, size_bytes, sample_id."""
    assert table in ("real_samples", "synthetic_samples")
    yield from catalog.stream(
        f"""SELECT blob, min(content_hash) AS content_hash, min(size_bytes) AS size_bytes, min(sample_id) AS sample_id,
                   min(content_hash) <> max(content_hash) AS is_torn
            FROM {table} WHERE blob IS NOT NULL GROUP BY blob ORDER BY blob""",
        batch_rows=1024,
    )


def vector_tables(catalog: Catalog) -> dict[str, str]:
    """The type of `vector` in each vectors table, by slug: {"minilm": "FLOAT[384]"}."""
    rows = catalog.rows(
        """SELECT table_name, data_type FROM duckdb_columns()
           WHERE starts_with(table_name, 'vectors_') AND column_name = 'vector'"""
    )
    return {name.removeprefix("vectors_"): kind for name, kind in rows}


def vector_rules(slug: str) -> tuple[Rule, ...]:
    """The invariants of one vectors table; the slug is that of a table which is there."""
    counted = f"SELECT count(*) FROM vectors_{slug}"
    again = f"drop the table vectors_{slug} and the row in embedders, then curate embed DATASET"
    return (
        Rule(
            "vectors",
            counted,
            f"SELECT sample_id FROM vectors_{slug} WHERE NOT abs(array_inner_product(vector, vector) - 1) < 1e-3",
            f"{{count}} vectors of {slug} are not of length 1",
            again,
        ),
        Rule(
            "vectors",
            counted,
            f"SELECT sample_id FROM vectors_{slug} ANTI JOIN {_BOTH} USING (sample_id)",
            f"{{count}} vectors of {slug} belong to no sample",
            again,
        ),
        Rule(
            "vectors",
            counted,
            f"SELECT sample_id FROM vectors_{slug} GROUP BY sample_id HAVING count(*) > 1",
            f"{{count}} samples have more than one vector of {slug}",
            again,
        ),
    )


def some_with_vectors(catalog: Catalog, slug: str, count: int) -> list[int]:
    """Ids of samples with a vector, drawn at random."""
    rows = catalog.rows(
        f"""SELECT sample_id FROM (SELECT DISTINCT sample_id FROM vectors_{slug} SEMI JOIN {_BOTH} USING (sample_id))
            USING SAMPLE reservoir({int(count)} ROWS)"""
    )
    return sorted(row[0] for row in rows)


def trained_models(catalog: Catalog) -> list[tuple[int, str, str, str]]:
    """(model_id, name, folder, checkpoint_hash) of the models whose training is done."""
    return catalog.rows(
        "SELECT model_id, name, folder, checkpoint_hash FROM models WHERE checkpoint_hash IS NOT NULL ORDER BY model_id"
    )
