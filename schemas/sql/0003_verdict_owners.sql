-- A verdict belongs to the rule that gave it, so that no rule takes back what another one decided: the newest verdict of each
-- owner counts, and a sample is dropped if any owner drops it and no user pinned it. DuckDB cannot change a checked table.
CREATE TEMP TABLE verdicts_before AS SELECT * FROM verdicts;
DROP TABLE verdicts;
CREATE TABLE verdicts (
    verdict_id   BIGINT  PRIMARY KEY DEFAULT nextval('verdict_ids'),
    sample_id    BIGINT  NOT NULL,
    owner        VARCHAR NOT NULL CHECK (regexp_full_match(owner, '[a-z]+(:[A-Za-z0-9][A-Za-z0-9._-]*)?')),
    action       VARCHAR NOT NULL CHECK (action IN ('drop', 'restore')),   -- a restore by 'user' pins; by others it takes back
    reason       VARCHAR NOT NULL,        -- the dedupe method, what a filter says, or the owner's name
    duplicate_id BIGINT,                  -- the evidence, for a drop by dedupe or protect; a copy of a near-duplicate is tied by the latter
    run_id       INTEGER NOT NULL,
    decided_at   TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CHECK (action = 'restore' OR owner NOT IN ('dedupe', 'protect') OR duplicate_id IS NOT NULL)
);
INSERT INTO verdicts (verdict_id, sample_id, owner, action, reason, duplicate_id, run_id, decided_at)
SELECT verdict_id, sample_id, CASE WHEN reason = 'user' THEN 'user' ELSE 'dedupe' END, action, reason, duplicate_id, run_id, decided_at
FROM verdicts_before ORDER BY verdict_id;
DROP TABLE verdicts_before;

-- The newest verdict of each owner about each sample.
CREATE VIEW standing_verdicts AS
SELECT sample_id, owner, max(verdict_id) AS verdict_id, arg_max(action, verdict_id) AS action, arg_max(reason, verdict_id) AS reason,
       arg_max_null(duplicate_id, verdict_id) AS duplicate_id, arg_max(run_id, verdict_id) AS run_id
FROM verdicts GROUP BY sample_id, owner;

-- What follows from them for each sample: the user's word, else a drop (by protect, a filter, dedupe: the first of these), else none.
CREATE OR REPLACE VIEW current_verdicts AS
SELECT sample_id, arg_min(verdict_id, place) AS verdict_id, arg_min(action, place) AS action, arg_min(reason, place) AS reason,
       arg_min_null(duplicate_id, place) AS duplicate_id, arg_min(run_id, place) AS run_id, arg_min(owner, place) AS owner,
       string_agg(owner, ', ' ORDER BY owner) FILTER (WHERE action = 'drop') AS dropped_by
FROM (SELECT *, CASE WHEN owner = 'user' THEN '0' WHEN action = 'restore' THEN '4' WHEN owner = 'protect' THEN '1'
                     WHEN owner = 'dedupe' THEN '3' ELSE '2' END || owner AS place FROM standing_verdicts)
GROUP BY sample_id;

CREATE OR REPLACE VIEW samples AS
SELECT s.sample_id, 'real' AS origin, d.name AS dataset, s.modality, s.label, s.text, s.blob, s.width, s.height, s.size_bytes,
       s.external_id, s.metadata, s.content_hash, src.uri AS source, s.locator, NULL::VARCHAR AS model, NULL::BIGINT AS seed,
       CASE WHEN v.action = 'drop' THEN 'dropped' ELSE 'kept' END AS state,
       CASE WHEN v.action = 'drop' THEN v.dropped_by END AS dropped_by, CASE WHEN v.action = 'drop' THEN v.reason END AS reason,
       s.run_id
FROM real_samples s JOIN datasets d USING (dataset_id) JOIN sources src USING (source_id)
LEFT JOIN current_verdicts v ON v.sample_id = s.sample_id
UNION ALL
SELECT s.sample_id, 'synthetic', d.name, s.modality, s.label, s.text, s.blob, s.width, s.height, s.size_bytes,
       NULL, s.metadata, s.content_hash, m.name, 'draw ' || s.draw_index, m.name, s.seed, s.status,
       CASE WHEN s.status = 'refused' THEN 'gate' END, s.refusal, s.run_id
FROM synthetic_samples s JOIN datasets d USING (dataset_id) JOIN models m USING (model_id);
