"""The laws of `curate.filters.Filter`, on samples of every modality that the filter takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curate import plugins
from curate.errors import SettingError
from curate.filters import COLUMNS, Filter
from curate.modalities import Limits, load_modality
from curate.records import takes
from curate.testing.contents import some_texts
from curate.testing.laws import hold, refused, require

TEXTS = ["", " ", "a", "Two words.", "MOSTLY CAPITALS HERE", "日本語のテキスト", "\x00 \t\n", "👩‍👩‍👧 emoji", "word " * 5000]
_TYPES = {"sample_id": pa.int64(), "width": pa.int32(), "height": pa.int32(), "size_bytes": pa.int64()}


def check_filter(filter: type[Filter]) -> None:
    """Hold a filter, with the settings of its `example`, to the laws of its family.

    Raises:
        AssertionError: a law is broken.
    """
    hold(LAWS, _Case(filter, some_samples(filter)), filter.__name__)


def some_samples(filter: type[Filter]) -> pa.Table:
    """A batch as `curate filter` hands it over, with contents of the filter's modalities."""
    rows: list[dict[str, object]] = []
    for modality, _ in plugins.usable("modalities"):
        kind = load_modality(modality)
        if not takes(filter.modalities, modality):
            continue
        more = [*TEXTS, *some_texts(np.random.default_rng(0), 40).to_pylist()] if kind.stored == "text" else []
        for content in [*kind.examples(), *more]:
            text = content if isinstance(content, str) else None
            size = len(content.encode()) if isinstance(content, str) else len(content)
            facts = None if text is not None else kind.inspect(content, Limits())
            rows.append(
                {
                    "sample_id": len(rows) + 1,
                    "modality": modality,
                    "label": ("a", None)[len(rows) % 2],
                    "text": text,
                    "blob": None if facts is None else f"ab/{len(rows)}{facts.suffix}",
                    "width": facts and facts.width,
                    "height": facts and facts.height,
                    "size_bytes": size,
                    "external_id": None,
                    "metadata": (None, '{"source": "made"}')[len(rows) % 2],
                }
            )
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
    return pa.Table.from_pylist(rows, schema=schema)


@dataclass(frozen=True)
class _Case:
    """A filter's class, and samples to try it on."""

    kind: type[Filter]
    batch: pa.Table

    def judge(self, batch: pa.Table) -> list[str | None]:
        return list(self.kind(**self.kind.example()).judge(batch))


def _it_is_for_something(case: _Case) -> None:
    require(case.kind.modalities, "it takes no modality")
    require(case.batch.num_rows, f"no modality is among {sorted(case.kind.modalities)}")


def _each_sample_gets_one_answer_none_or_a_short_phrase(case: _Case) -> None:
    said = case.judge(case.batch)
    require(len(said) == case.batch.num_rows, f"{len(said)} answers for {case.batch.num_rows} samples")
    for reason in said:
        short = reason is None or (isinstance(reason, str) and 0 < len(reason) <= 100 and "\n" not in reason)
        require(short, f"a reason is a phrase of at most 100 characters in one line, got {reason!r}")


def _an_answer_depends_on_its_sample_alone(case: _Case) -> None:
    whole = case.judge(case.batch)
    alone = [case.judge(case.batch.slice(row, 1))[0] for row in range(case.batch.num_rows)]
    require(alone == whole, "one by one, samples are judged otherwise")
    order: Sequence[int] = np.random.default_rng(0).permutation(case.batch.num_rows).tolist()
    shuffled = case.judge(case.batch.take(pa.array(order, pa.int64())))
    require(shuffled == [whole[row] for row in order], "in another order, samples are judged otherwise")


def _no_sample_is_no_answer(case: _Case) -> None:
    require(case.judge(case.batch.slice(0, 0)) == [], "no sample, and an answer")


def _settings_are_complete_and_make_the_same_filter_again(case: _Case) -> None:
    first = case.kind(**case.kind.example())
    require(json.loads(json.dumps(first.settings)) == first.settings, "the settings do not survive JSON")
    again = case.kind(**first.settings)
    require(again.settings == first.settings, "made of its own settings, it has others")
    require(list(again.judge(case.batch)) == case.judge(case.batch), "made of its own settings, it judges otherwise")


def _an_unknown_setting_is_refused(case: _Case) -> None:
    with refused(SettingError, "the setting no_such_setting"):
        case.kind(**case.kind.example(), no_such_setting=1)


LAWS = (
    _it_is_for_something,
    _each_sample_gets_one_answer_none_or_a_short_phrase,
    _an_answer_depends_on_its_sample_alone,
    _no_sample_is_no_answer,
    _settings_are_complete_and_make_the_same_filter_again,
    _an_unknown_setting_is_refused,
)
