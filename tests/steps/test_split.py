"""The laws of a split: shares are met, nobody crosses, nobody moves."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from curate.catalog import splits
from curate.errors import InputError, SettingError
from curate.splitting.allocation import Group, allocate
from curate.splitting.facts import SplitReport
from curate.splitting.groups import connected_components
from curate.splitting.ratios import parse_ratios
from curate.steps.ingest import ingest
from curate.steps.split import split
from curate.workspace import Workspace, create_workspace, open_workspace

THIRDS = {"train": 0.5, "validation": 0.25, "test": 0.25}
DEFAULT = {"train": 0.8, "validation": 0.1, "test": 0.1}
shares = st.sampled_from([DEFAULT, THIRDS, {"train": 0.7, "test": 0.3}, {"train": 1.0}])


@pytest.fixture
def workspace(tmp_path: Path):
    with open_workspace(create_workspace(tmp_path / "ws")) as opened:
        yield opened


def put(workspace: Workspace, rows: list[dict], file: str = "a.jsonl", dataset: str = "tales") -> None:
    path = workspace.root.parent / file
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(workspace, [path], dataset=dataset, text=["text"], label="label")


def numbered(count: int, *, labels: int = 3, start: int = 0) -> list[dict]:
    return [{"text": f"tale {n}", "label": f"l{n % labels}", "author": f"a{n % 7}"} for n in range(start, start + count)]


def parts_by_text(workspace: Workspace, report: SplitReport) -> dict[str, str]:
    rows = workspace.catalog.rows(
        """SELECT s.text, m.part FROM split_members m JOIN real_samples s USING (sample_id) JOIN splits p USING (split_id)
           WHERE p.name = ? AND p.version = ?""",
        [report.name, report.version],
    )
    return dict(rows)


def ids_by_text(workspace: Workspace) -> dict[str, int]:
    return dict(workspace.catalog.rows("SELECT text, min(sample_id) FROM real_samples GROUP BY text"))


def found_alike(workspace: Workspace, sample: int, keeper: int, *, drop: bool = True) -> None:
    workspace.catalog.execute(
        """INSERT INTO duplicates (run_id, sample_id, keeper_id, method, similarity, threshold, settings)
           VALUES (1, ?, ?, 'minhash', 0.9, 0.8, '{}')""",
        [sample, keeper],
    )
    if drop:
        workspace.catalog.execute(
            """INSERT INTO verdicts (sample_id, owner, action, reason, duplicate_id, run_id)
               SELECT ?, 'dedupe', 'drop', 'minhash', max(duplicate_id), 1 FROM duplicates""",
            [sample],
        )


# ── allocation ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=300), shares, st.integers(0, 5))
@settings(deadline=None, max_examples=150)
def test_single_samples_meet_the_ratios_overall_and_in_every_stratum(strata, ratios, seed):
    groups = [Group(f"k{n}", 1, stratum, None) for n, stratum in enumerate(strata)]
    chosen = allocate(groups, ratios, seed=seed)
    assert chosen.keys() == {g.key for g in groups}
    totals = Counter(chosen.values())
    within = Counter((g.stratum, chosen[g.key]) for g in groups)
    for part, share in ratios.items():
        assert abs(totals[part] - share * len(strata)) <= 2
        for stratum, count in Counter(strata).items():
            assert abs(within[stratum, part] - share * count) <= 4


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), shares, st.integers(0, 5))
@settings(deadline=None, max_examples=150)
def test_shares_miss_by_no_more_than_the_largest_groups(sizes, ratios, seed):
    groups = [Group(f"k{n}", size, "", None) for n, size in enumerate(sizes)]
    chosen = allocate(groups, ratios, seed=seed)
    filled = Counter()
    for group in groups:
        filled[chosen[group.key]] += group.size
    for part, share in ratios.items():
        assert abs(filled[part] - share * sum(sizes)) <= 2 * max(sizes)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from("ab"), st.sampled_from([None, "train", "test"])), max_size=50),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=100)
def test_allocation_ignores_the_order_and_moves_no_group(drawn, shuffler):
    groups = [Group(f"k{n}", *fields) for n, fields in enumerate(drawn)]
    chosen = allocate(groups, DEFAULT, seed=3)
    shuffled = groups[:]
    shuffler.shuffle(shuffled)
    assert allocate(shuffled, DEFAULT, seed=3) == chosen
    assert all(chosen[g.key] == g.part for g in groups if g.part)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.sampled_from("abcdefghijkl")), min_size=1, max_size=80), shares, st.integers(0, 3)
)
@settings(deadline=None, max_examples=150)
def test_any_groups_in_any_strata_meet_the_ratios_within_a_few_groups(drawn, ratios, seed):
    groups = [Group(f"k{n}", size, stratum, None) for n, (size, stratum) in enumerate(drawn)]
    chosen = allocate(groups, ratios, seed=seed)
    filled = Counter()
    for group in groups:
        filled[chosen[group.key]] += group.size
    largest = max(size for size, _ in drawn)
    for part, share in ratios.items():
        assert abs(filled[part] - share * sum(size for size, _ in drawn)) <= 2 * largest


def test_one_large_group_a_stratum_still_gives_every_part_its_share():
    groups = [Group(f"user{n}", 10, f"intent{n % 100}", None) for n in range(200)]
    filled = Counter(allocate(groups, DEFAULT, seed=0).values())
    assert filled == {"train": 160, "validation": 20, "test": 20}


def test_a_few_giant_groups_leave_something_for_every_part():
    groups = [Group("giant", 50, "", None), *(Group(f"k{n}", 1, "", None) for n in range(50))]
    chosen = allocate(groups, DEFAULT, seed=0)
    filled = Counter()
    for group in groups:
        filled[chosen[group.key]] += group.size
    assert filled == {"train": 80, "validation": 10, "test": 10}


def test_large_groups_are_spread_like_small_ones():
    groups = [Group(f"k{n}", 16, "", None) for n in range(100)] + [Group(f"s{n}", 1, "", None) for n in range(1000)]
    chosen = allocate(groups, DEFAULT, seed=1)
    large = Counter(chosen[g.key] for g in groups if g.size == 16)
    assert large == {"train": 80, "validation": 10, "test": 10}


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=80))
@settings(deadline=None, max_examples=150)
def test_components_are_those_of_a_slow_search(nodes, edges):
    edges = [(a % nodes, b % nodes) for a, b in edges]
    near = defaultdict(set)
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    expected = [-1] * nodes
    for start in range(nodes):
        queue = [start] if expected[start] < 0 else []
        while queue:
            node = queue.pop()
            if expected[node] < 0:
                expected[node] = start
                queue.extend(near[node])
    ends = np.array(edges, np.int64).reshape(-1, 2)
    assert connected_components(nodes, ends[:, 0], ends[:, 1]).tolist() == expected


# ── the step ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["x", "y", None]), st.integers(0, 12)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25), st.booleans()), max_size=8),
    st.lists(st.integers(26, 50), max_size=20),
    st.sampled_from([None, "author"]),
    st.sampled_from([None, "label"]),
)
@settings(deadline=None, max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_no_group_crosses_and_nobody_moves_when_data_is_added(tmp_path_factory, rows, alike, later, group, stratify):
    folder = tmp_path_factory.mktemp("split")
    stratify = stratify if any(label for _, label, _ in rows) else None  # a field without any value is refused
    data = [{"text": f"tale {n}", "label": label, "author": f"a{author}"} for n, label, author in rows]
    with open_workspace(create_workspace(folder / "ws")) as workspace:
        put(workspace, data)
        ids = ids_by_text(workspace)
        for left, right, drop in alike:
            a, b = ids.get(f"tale {left}"), ids.get(f"tale {right}")
            if a and b and a != b:
                found_alike(workspace, a, b, drop=drop)
        kept = workspace.catalog.scalar("SELECT count(*) FROM curated")
        if not kept:
            return
        first = split(workspace, "tales", ratios=THIRDS, group=group, stratify=stratify, allow_empty=True)
        _assert_nothing_crosses(workspace, first, group)
        before = dict(workspace.catalog.rows("SELECT sample_id, part FROM parts WHERE version = 1"))
        # new authors only, so that no two old groups grow together
        put(workspace, [{"text": f"tale {n}", "label": "x", "author": f"b{n}"} for n in later], "b.jsonl")
        second = split(workspace, "tales", ratios=THIRDS, group=group, stratify=stratify, allow_empty=True)
        assert second.moved == ()
        assert second.changed == bool(later) and second.added == len(later)
        _assert_nothing_crosses(workspace, second, group)
        after = dict(workspace.catalog.rows("SELECT sample_id, part FROM parts WHERE version = ?", [second.version]))
        assert before.items() <= after.items()


def _assert_nothing_crosses(workspace: Workspace, report: SplitReport, group: str | None) -> None:
    rows = workspace.catalog.rows(
        """SELECT m.sample_id, m.part, s.content_hash, json_extract_string(s.metadata, '$.author') FROM parts m
           JOIN real_samples s USING (sample_id) WHERE m.version = ?""",
        [report.version],
    )
    part = {row[0]: row[1] for row in rows}
    assert len(part) == len(rows) == workspace.catalog.scalar("SELECT count(*) FROM curated")
    pairs = workspace.catalog.rows("SELECT sample_id, keeper_id FROM duplicates")
    everyone = workspace.catalog.rows(
        "SELECT sample_id, content_hash, json_extract_string(metadata, '$.author') FROM real_samples"
    )
    alike = defaultdict(set)  # slow oracle: spread from sample to sample until nothing changes
    for a, b in pairs:
        alike[a].add(b)
        alike[b].add(a)
    for a, hash_a, author_a in everyone:
        for b, hash_b, author_b in everyone:
            if hash_a == hash_b or (group and author_a == author_b):
                alike[a].add(b)
    for start in part:
        reached, queue = set(), [start]
        while queue:
            node = queue.pop()
            if node not in reached:
                reached.add(node)
                queue.extend(alike[node])
        assert {part[node] for node in reached if node in part} == {part[start]}


def test_neither_ids_nor_the_order_of_ingest_decide(tmp_path: Path):
    rows = numbered(60) + [{"text": f"lone {n}", "label": "rare"} for n in range(5)]
    found = []
    for turn in range(2):
        random.Random(turn).shuffle(rows)
        (tmp_path / str(turn)).mkdir()
        with open_workspace(create_workspace(tmp_path / str(turn) / "ws")) as workspace:
            put(workspace, numbered(turn * 3, start=1000), dataset="other", file="o.jsonl") if turn else None
            put(workspace, rows)
            report = split(workspace, "tales", stratify="label", group="author", seed=7)
            found.append((report.members_hash, parts_by_text(workspace, report)))
    assert found[0] == found[1]


def test_another_seed_makes_another_split(workspace):
    put(workspace, numbered(100))
    hashes = {split(workspace, "tales", name=f"s{seed}", seed=seed).members_hash for seed in range(4)}
    assert len(hashes) == 4


def test_the_same_command_again_changes_nothing(workspace):
    put(workspace, numbered(50))
    first = split(workspace, "tales", stratify="label", seed=7)
    again = split(workspace, "tales", stratify="label", seed=7)
    assert first.changed and not again.changed
    assert (again.reference, again.members_hash, again.parts) == (first.reference, first.members_hash, first.parts)
    assert workspace.catalog.scalar("SELECT count(*) FROM splits") == 1
    assert workspace.catalog.scalar("SELECT count(*) FROM split_members") == 50


def test_a_frozen_name_refuses_another_recipe(workspace):
    put(workspace, numbered(30))
    split(workspace, "tales", seed=7)
    for changed in (
        {"seed": 8},
        {"seed": 7, "stratify": "label"},
        {"seed": 7, "ratios": THIRDS},
        {"seed": 7, "group": "author"},
    ):
        with pytest.raises(SettingError, match="frozen") as error:
            split(workspace, "tales", **changed)
        assert "--name" in error.value.hint
    assert split(workspace, "tales", name="other", seed=8).version == 1


def test_groups_that_grow_together_go_to_the_most_held_out_part_and_say_who_moved(workspace):
    put(workspace, numbered(40))
    first = split(workspace, "tales", ratios=THIRDS)
    stood = parts_by_text(workspace, first)
    trained = next(text for text, part in stood.items() if part == "train")
    tested = next(text for text, part in stood.items() if part == "test")
    put(workspace, [{"text": "bridge", "label": "l0"}], "b.jsonl")
    ids = ids_by_text(workspace)
    found_alike(workspace, ids["bridge"], ids[trained])
    found_alike(workspace, ids["bridge"], ids[tested], drop=False)
    second = split(workspace, "tales", ratios=THIRDS)
    assert second.moved == (ids[trained],)
    assert any(str(ids[trained]) in note and "moved" in note for note in second.notes)
    assert parts_by_text(workspace, second) == stood | {trained: "test"}
    assert not split(workspace, "tales", ratios=THIRDS).changed


def test_a_new_copy_of_an_old_sample_joins_its_part_and_a_dropped_member_leaves(workspace):
    put(workspace, numbered(40))
    stood = parts_by_text(workspace, split(workspace, "tales", ratios=THIRDS))
    put(workspace, [{"text": text, "label": "l0"} for text in stood], "b.jsonl")
    report = split(workspace, "tales", ratios=THIRDS)
    assert report.members == 80 and report.added == 40
    rows = workspace.catalog.rows("SELECT s.text, m.part FROM parts m JOIN real_samples s USING (sample_id) WHERE version = 2")
    assert all(stood[text] == part for text, part in rows)
    workspace.catalog.execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (1, 'user', 'drop', 'user', 1)"
    )
    assert (split(workspace, "tales", ratios=THIRDS).left, split(workspace, "tales", ratios=THIRDS).members) == (1, 79)
    workspace.catalog.execute(
        "INSERT INTO verdicts (sample_id, owner, action, reason, run_id) VALUES (1, 'user', 'restore', 'user', 1)"
    )
    back = split(workspace, "tales", ratios=THIRDS)
    assert back.added == 1 and back.moved == ()


def test_only_curated_samples_are_members(workspace):
    put(workspace, numbered(10))
    found_alike(workspace, 2, 1)
    report = split(workspace, "tales")
    assert report.members == 9
    assert workspace.catalog.scalar("SELECT count(*) FROM split_members WHERE sample_id = 2") == 0


def test_wrong_settings_say_what_to_do(workspace):
    put(workspace, numbered(10))
    for wrong in (
        {"ratios": {"train": 0.8, "test": 0.1}},
        {"ratios": {"train": 1.5, "test": -0.5}},
        {"ratios": {"train": 0.9, "dev": 0.1}},
        {"stratify": "nothing"},
        {"group": "author.name"},
        {"seed": -1},
        {"name": "a/b"},
    ):
        with pytest.raises(SettingError) as error:
            split(workspace, "tales", **wrong)
        assert error.value.hint or "seed" in wrong
    with pytest.raises(InputError):
        split(workspace, "tails")
    for text in ("train", "train=x", "train=.5,train=.5"):
        with pytest.raises(SettingError):
            parse_ratios(text)
    assert workspace.catalog.scalar("SELECT count(*) FROM splits") == 0


def test_a_part_may_have_no_share(workspace):
    put(workspace, numbered(20))
    report = split(workspace, "tales", ratios={"train": 0.5, "validation": 0, "test": 0.5})
    assert {part: facts.samples for part, facts in report.parts.items()} == {"train": 10, "test": 10}


def test_notes_tell_of_rare_labels_missing_vectors_and_missing_groups(workspace):
    put(workspace, [*numbered(20), {"text": "odd", "label": "rare"}])
    report = split(workspace, "tales", stratify="label", group="author")
    assert any("rare (1)" in note for note in report.notes)
    assert any("want of vectors" in note for note in report.notes)
    assert any("1 samples have no author" in note for note in report.notes)


def test_specs_name_datasets_splits_versions_and_parts(workspace):
    put(workspace, numbered(40))
    split(workspace, "tales")
    put(workspace, numbered(5, start=100), "b.jsonl")
    split(workspace, "tales")
    split(workspace, "tales", name="fine.grained", seed=1)
    catalog = workspace.catalog

    def read(spec: str) -> tuple:
        dataset, found, part = splits.resolve(catalog, spec)
        return dataset.name, found and (found.name, found.version), part

    assert read("tales") == ("tales", None, None)
    assert read("tales/") == ("tales", ("fine.grained", 1), None)
    assert read("tales/test") == ("tales", ("fine.grained", 1), "test")
    assert read("tales@default") == ("tales", ("default", 2), None)
    assert read("tales@default/train") == ("tales", ("default", 2), "train")
    assert read("tales@default:1/validation") == ("tales", ("default", 1), "validation")
    newest = splits.resolve(catalog, "tales/").split
    assert splits.resolve(catalog, newest.reference).split == newest
    for wrong in ("", "tales/dev", "tales:2/train", "@default", "tales@default:x", "tales/train/x"):
        with pytest.raises(SettingError):
            splits.resolve(catalog, wrong)
    for missing in ("tails", "tales@none", "tales@default:9"):
        with pytest.raises(InputError):
            splits.resolve(catalog, missing)


def test_the_members_hash_is_over_content_and_part(workspace):
    import hashlib

    put(workspace, numbered(30))
    report = split(workspace, "tales")
    rows = workspace.catalog.rows("SELECT content_hash, part FROM parts JOIN real_samples USING (sample_id)")
    lines = sorted(f"{content} {part}\n" for content, part in rows)
    assert report.members_hash == hashlib.sha256("".join(lines).encode()).hexdigest()


def parted(count: int, part: str | None, *, start: int) -> list[dict]:
    return [{**row, **({"part": part} if part else {})} for row in numbered(count, start=start)]


def test_parts_that_the_data_comes_with_are_kept_and_train_gives_what_is_lacking(workspace):
    put(workspace, parted(80, "train", start=0) + parted(30, "test", start=100) + parted(20, None, start=200))
    report = split(workspace, "tales", parts="part", ratios=DEFAULT)
    found = parts_by_text(workspace, report)
    assert all(found[f"tale {n}"] == "test" for n in range(100, 130))
    of_train = Counter(found[f"tale {n}"] for n in range(80))
    assert of_train["test"] == 0 and abs(of_train["validation"] - 80 / 9) <= 2
    assert any("20 samples name no part" in note for note in report.notes)
    assert split(workspace, "tales", parts="part", ratios=DEFAULT).changed is False
    assert report.parts["test"].asked is None
    with pytest.raises(SettingError, match="parts 'part'"):
        split(workspace, "tales", ratios=DEFAULT)


def test_file_names_say_the_part_and_all_three_leave_nothing_to_deal(workspace):
    for start, (file, part) in enumerate(
        {"a_train.jsonl": "train", "dev.jsonl": "validation", "test-00.jsonl": "test"}.items()
    ):
        put(workspace, numbered(10, start=100 * start), file)
        assert part
    found = parts_by_text(workspace, split(workspace, "tales", parts="source"))
    assert {text: part for text, part in found.items() if part != "train"} == {
        **{f"tale {n}": "validation" for n in range(100, 110)},
        **{f"tale {n}": "test" for n in range(200, 210)},
    }


def test_a_path_that_names_two_parts_is_held_out_and_counted(workspace):
    (workspace.root.parent / "test").mkdir()
    put(workspace, numbered(4), "train.jsonl")  # in a folder that is called test_ and so on, as pytest's are
    put(workspace, numbered(3, start=10), "test/train.jsonl")  # texts on trains, perhaps
    report = split(workspace, "tales", parts="source", ratios={"train": 1.0})
    assert {part: facts.samples for part, facts in report.parts.items()} == {"train": 4, "test": 3}
    assert any(note.startswith("3 samples name several parts") for note in report.notes)


def test_a_group_that_comes_in_two_parts_is_held_out_whole_and_told(workspace):
    put(workspace, parted(10, "train", start=0), "one.jsonl")
    put(workspace, parted(5, "test", start=0), "two.jsonl")  # five of them again
    report = split(workspace, "tales", parts="part", ratios={"train": 1.0})
    rows = workspace.catalog.rows(
        "SELECT s.text, list(DISTINCT m.part) FROM split_members m JOIN real_samples s USING (sample_id) GROUP BY 1"
    )
    assert dict(rows) == {f"tale {n}": ["test"] if n < 5 else ["train"] for n in range(10)}
    assert any(note.startswith("5 samples stand in a part other") for note in report.notes)


def test_a_field_that_names_no_part_is_refused_with_what_it_says(workspace):
    put(workspace, numbered(4))
    with pytest.raises(SettingError, match="it says 'l0'"):
        split(workspace, "tales", parts="label")
