-- Times are UTC.
-- The house: what was read, what was decided about it, what was learned from it, and what was drawn.
-- Real and synthetic samples share one id sequence but no table, so that no forgotten WHERE can mix them.

CREATE SEQUENCE dataset_ids;
CREATE SEQUENCE run_ids;
CREATE SEQUENCE source_ids;
CREATE SEQUENCE sample_ids;
CREATE SEQUENCE reject_ids;
CREATE SEQUENCE verdict_ids;
CREATE SEQUENCE duplicate_ids;
CREATE SEQUENCE split_ids;
CREATE SEQUENCE model_ids;
CREATE SEQUENCE metric_ids;

CREATE TABLE datasets (
    dataset_id INTEGER PRIMARY KEY DEFAULT nextval('dataset_ids'),
    name       VARCHAR NOT NULL UNIQUE CHECK (regexp_full_match(name, '[A-Za-z0-9][A-Za-z0-9._-]*')),
    licence    VARCHAR,
    source     VARCHAR,
    notes      VARCHAR,
    created_at TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- One step that ran. A killed run stays 'running' until the next writer, who knows that it is dead, marks it.
CREATE TABLE runs (
    run_id       INTEGER PRIMARY KEY DEFAULT nextval('run_ids'),
    step         VARCHAR NOT NULL,
    dataset      VARCHAR,                 -- the name as given; a run may fail before the dataset exists
    command      VARCHAR,
    settings     JSON    NOT NULL,
    code_version VARCHAR NOT NULL,
    process_id   INTEGER NOT NULL,
    started_at   TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    ended_at     TIMESTAMP,
    status       VARCHAR NOT NULL CHECK (status IN ('running', 'done', 'failed', 'interrupted')),
    counts       JSON,
    error        VARCHAR
);

-- One file that was read, so that a second run can tell at a glance that nothing in it changed.
CREATE TABLE sources (
    source_id     BIGINT  PRIMARY KEY DEFAULT nextval('source_ids'),
    dataset_id    INTEGER NOT NULL REFERENCES datasets (dataset_id),
    uri           VARCHAR NOT NULL,       -- absolute path
    root          VARCHAR NOT NULL,       -- the folder that was named, or the file's own
    size_bytes    BIGINT  NOT NULL,
    modified_ns   BIGINT  NOT NULL,       -- mtime
    settings_hash VARCHAR NOT NULL,       -- of everything that decides what a record becomes
    complete      BOOLEAN NOT NULL,       -- false while it is being read, and after a kill
    read          BIGINT  NOT NULL DEFAULT 0,
    rejected      BIGINT  NOT NULL DEFAULT 0,
    skipped       BIGINT  NOT NULL DEFAULT 0,   -- members that no reader takes; not records
    run_id        INTEGER NOT NULL
);
CREATE UNIQUE INDEX sources_by_uri ON sources (dataset_id, uri);

-- Identity is (source, content_hash, occurrence): content, never a position. `curate check` proves it unique;
-- an index over it would cost 140 bytes a sample.
CREATE TABLE real_samples (
    sample_id    BIGINT  PRIMARY KEY DEFAULT nextval('sample_ids'),
    dataset_id   INTEGER NOT NULL REFERENCES datasets (dataset_id),
    source_id    BIGINT  NOT NULL,
    locator      VARCHAR NOT NULL,        -- where it stood in the source when it was first read
    modality     VARCHAR NOT NULL CHECK (modality IN ('text', 'image')),
    content_hash VARCHAR NOT NULL,        -- SHA-256 of the UTF-8 text, or of the media bytes
    occurrence   INTEGER NOT NULL CHECK (occurrence >= 0),   -- 0 for the first equal record of its source
    external_id  VARCHAR,
    label        VARCHAR,
    text         VARCHAR,
    blob         VARCHAR,                 -- path below blobs/real
    size_bytes   BIGINT  NOT NULL CHECK (size_bytes >= 0),
    width        INTEGER,                 -- pixels
    height       INTEGER,
    metadata     JSON,
    run_id       INTEGER NOT NULL,
    CHECK ((modality = 'text' AND text IS NOT NULL AND blob IS NULL)
        OR (modality = 'image' AND blob IS NOT NULL AND width > 0 AND height > 0))
);

CREATE TABLE rejects (
    reject_id  BIGINT  PRIMARY KEY DEFAULT nextval('reject_ids'),
    run_id     INTEGER NOT NULL,
    source_id  BIGINT  NOT NULL,
    locator    VARCHAR NOT NULL,
    reason     VARCHAR NOT NULL,
    excerpt    VARCHAR NOT NULL
);

CREATE TABLE embedders (
    slug        VARCHAR PRIMARY KEY CHECK (regexp_full_match(slug, '[a-z][a-z0-9_]*')),
    spec        VARCHAR NOT NULL,         -- what to type after --embedder
    fingerprint VARCHAR NOT NULL,
    dimension   INTEGER NOT NULL CHECK (dimension > 0),
    description VARCHAR NOT NULL,
    threshold   DOUBLE,                   -- default cosine for near-duplicates; NULL where nobody measured one
    created_at  TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- Evidence: this sample is that similar to the keeper that stands for it.
CREATE TABLE duplicates (
    duplicate_id BIGINT  PRIMARY KEY DEFAULT nextval('duplicate_ids'),
    run_id       INTEGER NOT NULL,
    sample_id    BIGINT  NOT NULL,
    keeper_id    BIGINT  NOT NULL,
    method       VARCHAR NOT NULL,
    similarity   DOUBLE  NOT NULL CHECK (similarity BETWEEN -1 AND 1),
    threshold    DOUBLE  NOT NULL,
    settings     JSON    NOT NULL,        -- of the method, so that the similarity can be measured again
    CHECK (sample_id <> keeper_id)
);

-- The newest verdict of a sample counts. A 'restore' with reason 'user' pins the sample: no dedupe drops it again.
CREATE TABLE verdicts (
    verdict_id   BIGINT  PRIMARY KEY DEFAULT nextval('verdict_ids'),
    sample_id    BIGINT  NOT NULL,
    action       VARCHAR NOT NULL CHECK (action IN ('drop', 'restore')),
    reason       VARCHAR NOT NULL,        -- the dedupe method, or 'user'; 'dedupe' where a restore is dedupe's own
    duplicate_id BIGINT,                  -- the evidence, for a drop by dedupe; a copy of a near-duplicate is tied by the latter
    run_id       INTEGER NOT NULL,
    decided_at   TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CHECK (action = 'restore' OR reason = 'user' OR duplicate_id IS NOT NULL)
);

CREATE TABLE splits (
    split_id     INTEGER PRIMARY KEY DEFAULT nextval('split_ids'),
    dataset_id   INTEGER NOT NULL REFERENCES datasets (dataset_id),
    name         VARCHAR NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    recipe       JSON    NOT NULL,
    seed         BIGINT  NOT NULL,
    members_hash VARCHAR NOT NULL,        -- SHA-256 over (content hash, part) of every member, sorted
    members      BIGINT  NOT NULL,
    run_id       INTEGER NOT NULL,
    created_at   TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
CREATE UNIQUE INDEX splits_by_name ON splits (dataset_id, name, version);

CREATE TABLE split_members (
    split_id  INTEGER NOT NULL,
    sample_id BIGINT  NOT NULL,           -- a real sample: no synthetic one is ever a member
    part      VARCHAR NOT NULL CHECK (part IN ('train', 'validation', 'test')),
    group_key VARCHAR NOT NULL            -- samples that share it stay together
);

CREATE TABLE models (
    model_id        INTEGER PRIMARY KEY DEFAULT nextval('model_ids'),
    name            VARCHAR NOT NULL UNIQUE,
    family          VARCHAR NOT NULL,     -- the generator plug-in
    dataset_id      INTEGER NOT NULL REFERENCES datasets (dataset_id),
    split_id        INTEGER NOT NULL,
    part            VARCHAR NOT NULL CHECK (part = 'train'),
    base_model      VARCHAR,
    settings        JSON    NOT NULL,
    folder          VARCHAR NOT NULL,     -- below models/
    checkpoint_hash VARCHAR,              -- SHA-256 of model.safetensors; NULL until training is done
    depth           INTEGER NOT NULL CHECK (depth >= 0),   -- 0: learned from real data alone
    run_id          INTEGER NOT NULL,
    created_at      TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE synthetic_samples (
    sample_id       BIGINT  PRIMARY KEY DEFAULT nextval('sample_ids'),
    dataset_id      INTEGER NOT NULL REFERENCES datasets (dataset_id),
    model_id        INTEGER NOT NULL REFERENCES models (model_id),
    run_id          INTEGER NOT NULL,
    seed            BIGINT  NOT NULL CHECK (seed >= 0),
    draw_index      BIGINT  NOT NULL CHECK (draw_index >= 0),
    requested_label VARCHAR,              -- NULL only where the model knows no labels
    settings        JSON    NOT NULL,     -- everything the draw depends on beside model, seed and label
    depth           INTEGER NOT NULL CHECK (depth >= 1),
    parents         JSON    NOT NULL,     -- ids of the samples it was made from; [] where a model drew it from noise
    modality        VARCHAR NOT NULL CHECK (modality IN ('text', 'image')),
    content_hash    VARCHAR NOT NULL,
    label           VARCHAR,
    text            VARCHAR,
    blob            VARCHAR,              -- path below blobs/synthetic
    size_bytes      BIGINT  NOT NULL CHECK (size_bytes >= 0),
    width           INTEGER,
    height          INTEGER,
    metadata        JSON,
    status          VARCHAR NOT NULL CHECK (status IN ('accepted', 'refused')),
    refusal         VARCHAR,
    nearest_id      BIGINT,               -- the nearest real sample
    nearest_real    DOUBLE,               -- cosine to it
    created_at      TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CHECK ((status = 'refused') = (refusal IS NOT NULL))
);
CREATE UNIQUE INDEX synthetic_by_draw ON synthetic_samples (model_id, seed, draw_index);

CREATE TABLE metrics (
    metric_id  BIGINT  PRIMARY KEY DEFAULT nextval('metric_ids'),
    run_id     INTEGER NOT NULL,
    model_id   INTEGER NOT NULL,
    name       VARCHAR NOT NULL,
    label      VARCHAR,                   -- NULL: over all labels
    value      DOUBLE,
    spread     DOUBLE,                    -- standard deviation over repeats or subsets
    reference  DOUBLE,                    -- the same measure, real against real
    sizes      JSON    NOT NULL,          -- sample sizes
    definition VARCHAR NOT NULL,
    source     VARCHAR NOT NULL           -- paper or algorithm
);

CREATE TABLE losses (
    run_id   INTEGER NOT NULL,
    model_id INTEGER NOT NULL,
    step     BIGINT  NOT NULL,
    name     VARCHAR NOT NULL,
    value    DOUBLE  NOT NULL
);

-- ── views for people ────────────────────────────────────────────────────────────────────────────────────────────────

CREATE VIEW current_verdicts AS
SELECT sample_id, max(verdict_id) AS verdict_id, arg_max(action, verdict_id) AS action, arg_max(reason, verdict_id) AS reason,
       arg_max(duplicate_id, verdict_id) AS duplicate_id, arg_max(run_id, verdict_id) AS run_id
FROM verdicts GROUP BY sample_id;

CREATE VIEW curated AS
SELECT s.sample_id, d.name AS dataset, s.modality, s.label, s.text, s.blob, s.width, s.height, s.size_bytes, s.external_id,
       s.metadata, s.content_hash, src.uri AS source, s.locator, s.run_id
FROM real_samples s JOIN datasets d USING (dataset_id) JOIN sources src USING (source_id)
WHERE NOT EXISTS (SELECT 1 FROM current_verdicts v WHERE v.sample_id = s.sample_id AND v.action = 'drop');

CREATE VIEW accepted AS
SELECT s.sample_id, d.name AS dataset, s.modality, s.label, s.text, s.blob, s.width, s.height, s.size_bytes, s.metadata,
       s.content_hash, m.name AS model, s.seed, s.draw_index, s.requested_label, s.depth, s.nearest_id, s.nearest_real, s.run_id
FROM synthetic_samples s JOIN datasets d USING (dataset_id) JOIN models m USING (model_id)
WHERE s.status = 'accepted';

CREATE VIEW samples AS
SELECT s.sample_id, 'real' AS origin, d.name AS dataset, s.modality, s.label, s.text, s.blob, s.width, s.height, s.size_bytes,
       s.external_id, s.metadata, s.content_hash, src.uri AS source, s.locator, NULL::VARCHAR AS model, NULL::BIGINT AS seed,
       CASE WHEN v.action = 'drop' THEN 'dropped' ELSE 'kept' END AS state, s.run_id
FROM real_samples s JOIN datasets d USING (dataset_id) JOIN sources src USING (source_id)
LEFT JOIN current_verdicts v ON v.sample_id = s.sample_id
UNION ALL
SELECT s.sample_id, 'synthetic', d.name, s.modality, s.label, s.text, s.blob, s.width, s.height, s.size_bytes,
       NULL, s.metadata, s.content_hash, m.name, 'draw ' || s.draw_index, m.name, s.seed, s.status, s.run_id
FROM synthetic_samples s JOIN datasets d USING (dataset_id) JOIN models m USING (model_id);

CREATE VIEW parts AS
SELECT d.name AS dataset, p.name AS split, p.version, m.part, m.sample_id, m.group_key
FROM split_members m JOIN splits p USING (split_id) JOIN datasets d USING (dataset_id);

CREATE VIEW lineage AS
SELECT s.sample_id, s.status, s.refusal, m.name AS model, m.family, m.base_model, m.checkpoint_hash, d.name AS trained_on,
       p.name AS split, p.version AS split_version, p.members_hash, m.part, s.seed, s.draw_index, s.requested_label, s.settings,
       s.depth, s.parents, s.nearest_id, s.nearest_real, s.run_id AS draw_run, m.run_id AS train_run
FROM synthetic_samples s JOIN models m USING (model_id) JOIN splits p USING (split_id) JOIN datasets d ON d.dataset_id = m.dataset_id;
