"""What the HTML report asks of the catalog: counts, and small examples chosen by a seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from curate.catalog._connection import Catalog


class LabelCount(NamedTuple):
    """One label's samples from the files to the draws; the last row may stand for all `labels` that are not shown."""

    label: str | None
    labels: int
    is_others: bool
    read: int
    kept: int
    train: int
    validation: int
    test: int
    accepted: int


class SourceCount(NamedTuple):
    """The files of a dataset as they were last read."""

    files: int
    unfinished: int
    read: int
    rejected: int
    skipped: int


class RejectReason(NamedTuple):
    """A reason for which records could not be taken, with some of them as (file, locator, excerpt)."""

    reason: str
    records: int
    examples: list[tuple[str, str, str]]


class DrawnExample(NamedTuple):
    """A synthetic sample to show; the text is cut, `length` is that of all of it."""

    sample_id: int
    label: str | None
    text: str | None
    length: int | None
    blob: str | None
    refusal: str | None
    nearest_id: int | None
    nearest_real: float | None


class MetricRow(NamedTuple):
    """A measured figure of a model."""

    run_id: int
    name: str
    label: str | None
    value: float | None
    spread: float | None
    reference: float | None
    sizes: dict[str, Any]
    definition: str
    source: str


class RunRow(NamedTuple):
    """One step that ran."""

    run_id: int
    step: str
    dataset: str | None
    status: str
    started_at: Any
    seconds: float | None
    command: str | None
    counts: dict[str, Any]
    error: str | None
    code_version: str


def label_counts(catalog: Catalog, dataset_id: int, split_id: int | None, *, limit: int) -> list[LabelCount]:
    """Count a dataset's labels, most samples first; labels beyond `limit` are summed in one last row.

    Args:
        split_id: whose parts are counted; None where there is no split.
    """
    rows = catalog.rows(
        """WITH reals AS (
               SELECT s.label, count(*) AS read, count(*) FILTER (WHERE v.action IS DISTINCT FROM 'drop') AS kept,
                      count(*) FILTER (WHERE m.part = 'train') AS train,
                      count(*) FILTER (WHERE m.part = 'validation') AS validation,
                      count(*) FILTER (WHERE m.part = 'test') AS test
               FROM real_samples s LEFT JOIN current_verdicts v USING (sample_id)
               LEFT JOIN (SELECT sample_id, part FROM split_members WHERE split_id = $split) m USING (sample_id)
               WHERE s.dataset_id = $dataset GROUP BY s.label
           ), drawn AS (
               SELECT label, count(*) AS accepted FROM synthetic_samples
               WHERE dataset_id = $dataset AND status = 'accepted' GROUP BY label
           ), ranked AS (
               SELECT coalesce(r.label, d.label) AS label, coalesce(read, 0) AS read, coalesce(kept, 0) AS kept,
                      coalesce(train, 0) AS train, coalesce(validation, 0) AS validation, coalesce(test, 0) AS test,
                      coalesce(accepted, 0) AS accepted,
                      row_number() OVER (ORDER BY coalesce(read, 0) DESC, coalesce(r.label, d.label)) AS place
               FROM reals r FULL JOIN drawn d ON r.label IS NOT DISTINCT FROM d.label
           )
           SELECT min(label), count(*), bool_or(place > $limit), sum(read)::BIGINT, sum(kept)::BIGINT, sum(train)::BIGINT,
                  sum(validation)::BIGINT, sum(test)::BIGINT, sum(accepted)::BIGINT
           FROM ranked GROUP BY least(place, $limit + 1) ORDER BY least(place, $limit + 1)""",
        {"split": split_id, "dataset": dataset_id, "limit": limit},
    )
    return [LabelCount(*row) for row in rows]


def kept_by_part(catalog: Catalog, split_id: int) -> dict[str, tuple[int, int]]:
    """part → members that are still curated, and members that were dropped since the split was frozen."""
    return {
        part: (int(kept), int(gone))
        for part, kept, gone in catalog.rows(
            """SELECT m.part, count(*) FILTER (WHERE v.action IS DISTINCT FROM 'drop'),
                      count(*) FILTER (WHERE v.action = 'drop')
               FROM split_members m LEFT JOIN current_verdicts v USING (sample_id) WHERE m.split_id = ? GROUP BY m.part""",
            [split_id],
        )
    }


def source_counts(catalog: Catalog, dataset_id: int) -> SourceCount:
    """What the files of a dataset held when they were last read."""
    row = catalog.row(
        """SELECT count(*), count(*) FILTER (WHERE NOT complete), coalesce(sum(read), 0)::BIGINT,
                  coalesce(sum(rejected), 0)::BIGINT, coalesce(sum(skipped), 0)::BIGINT
           FROM sources WHERE dataset_id = ?""",
        [dataset_id],
    )
    assert row is not None
    return SourceCount(*map(int, row))


def reject_reasons(catalog: Catalog, dataset_id: int, *, examples: int) -> list[RejectReason]:
    """Records that could not be taken, by reason, most first, each with the first few of them."""
    rows = catalog.rows(
        """WITH placed AS (
               SELECT r.reason, s.uri, r.locator, r.excerpt, count(*) OVER (PARTITION BY r.reason) AS total,
                      row_number() OVER (PARTITION BY r.reason ORDER BY r.reject_id) AS place
               FROM rejects r JOIN sources s USING (source_id) WHERE s.dataset_id = ?
           )
           SELECT reason, total, parse_filename(uri), locator, excerpt[:400] FROM placed WHERE place <= ?
           ORDER BY total DESC, reason, place""",
        [dataset_id, examples],
    )
    found: dict[str, RejectReason] = {}
    for reason, total, file, locator, excerpt in rows:
        found.setdefault(reason, RejectReason(reason, int(total), [])).examples.append((file, locator, excerpt))
    return list(found.values())


def fates(catalog: Catalog) -> dict[int, dict[str, int]]:
    """model id → 'accepted' or the reason of the refusal → how many of its draws."""
    found: dict[int, dict[str, int]] = {}
    for model_id, fate, count in catalog.rows(
        """SELECT model_id, coalesce(refusal, 'accepted') AS fate, count(*) FROM synthetic_samples
           GROUP BY model_id, fate ORDER BY model_id, fate <> 'accepted', 3 DESC, 2"""
    ):
        found.setdefault(model_id, {})[fate] = int(count)
    return found


def draw_seeds(catalog: Catalog, model_id: int) -> dict[str, int]:
    """The seeds that `generate` was given for a model, and how many draws came of each."""
    return dict(
        catalog.rows(
            """SELECT coalesce(settings ->> 'base_seed', 'not recorded'), count(*) FROM synthetic_samples WHERE model_id = ?
               GROUP BY 1 ORDER BY 1""",
            [model_id],
        )
    )


def kept_examples(catalog: Catalog, dataset_id: int, *, limit: int, seed: int) -> list[int]:
    """Ids of some kept samples of a dataset, spread evenly over its labels, chosen by the seed."""
    rows = catalog.rows(
        """SELECT sample_id, label FROM (
               SELECT sample_id, label,
                      row_number() OVER (PARTITION BY label ORDER BY md5(sample_id || ':' || ?::BIGINT)) AS place
               FROM real_samples WHERE dataset_id = ?
                 AND sample_id NOT IN (SELECT sample_id FROM current_verdicts WHERE action = 'drop'))
           ORDER BY place, md5(sample_id || ':' || ?::BIGINT) LIMIT ?""",
        [seed, dataset_id, seed, limit],
    )
    return [row[0] for row in sorted(rows, key=lambda row: (row[1] is None, row[1] or "", row[0]))]


_EXAMPLE = "sample_id, label, text[:1200], length(text), blob, refusal, nearest_id, nearest_real"


def drawn_examples(catalog: Catalog, model_id: int, status: str, *, limit: int, seed: int) -> list[DrawnExample]:
    """Some draws of a model, spread evenly over the labels (of refused ones: over the reasons), chosen by the seed."""
    group = "label" if status == "accepted" else "refusal"
    rows = catalog.rows(
        f"""SELECT {_EXAMPLE} FROM (
                SELECT *, row_number() OVER (PARTITION BY {group} ORDER BY md5(sample_id || ':' || ?::BIGINT)) AS place
                FROM synthetic_samples WHERE model_id = ? AND status = ?)
            ORDER BY place, md5(sample_id || ':' || ?::BIGINT) LIMIT ?""",
        [seed, model_id, status, seed, limit],
    )
    return [DrawnExample(*row) for row in rows]


def nearest_examples(catalog: Catalog, model_id: int, *, limit: int) -> list[DrawnExample]:
    """The accepted draws of a model that are nearest to a real sample, nearest first."""
    rows = catalog.rows(
        f"""SELECT {_EXAMPLE} FROM synthetic_samples WHERE model_id = ? AND status = 'accepted' AND nearest_real IS NOT NULL
            ORDER BY nearest_real DESC, sample_id LIMIT ?""",
        [model_id, limit],
    )
    return [DrawnExample(*row) for row in rows]


def nearness(catalog: Catalog, model_id: int) -> tuple[float, float, float] | None:
    """Least, median and greatest cosine of a model's accepted draws to their nearest real sample."""
    row = catalog.row(
        """SELECT min(nearest_real), median(nearest_real), max(nearest_real) FROM synthetic_samples
           WHERE model_id = ? AND status = 'accepted'""",
        [model_id],
    )
    return None if row is None or row[0] is None else (row[0], row[1], row[2])


def metrics(catalog: Catalog, model_id: int) -> list[MetricRow]:
    """The figures of the newest run that measured a model; those over all labels first."""
    rows = catalog.rows(
        """SELECT run_id, name, label, value, spread, reference, sizes::VARCHAR, definition, source FROM metrics
           WHERE model_id = $model AND run_id = (SELECT max(run_id) FROM metrics WHERE model_id = $model)
           ORDER BY label IS NOT NULL, metric_id""",
        {"model": model_id},
    )
    return [MetricRow(*_with_object(row, 6)) for row in rows]


def runs(catalog: Catalog, dataset: str | None, *, limit: int) -> tuple[list[RunRow], int]:
    """The newest runs, newest first, and how many there are in all.

    Args:
        dataset: only runs over this one.
    """
    rows = catalog.rows(
        """SELECT run_id, step, dataset, status, started_at, epoch(ended_at - started_at), command, counts::VARCHAR, error,
                  code_version, count(*) OVER ()
           FROM runs WHERE $dataset IS NULL OR dataset = $dataset ORDER BY run_id DESC LIMIT $limit""",
        {"dataset": dataset, "limit": limit},
    )
    found = [RunRow(*_with_object(row[:10], 7)) for row in rows]
    return found, int(rows[0][10]) if rows else 0


def migrations(catalog: Catalog) -> Sequence[str]:
    """The names of the migrations that made the schema."""
    return [row[0] for row in catalog.rows("SELECT name FROM migrations ORDER BY number")]


def _with_object(row: tuple[Any, ...], at: int) -> list[Any]:
    """The row with its JSON at one place read; JSON that is no object stands under "value"."""
    values = list(row)
    value = json.loads(values[at]) if values[at] else {}
    values[at] = value if isinstance(value, dict) else {"value": value}
    return values
