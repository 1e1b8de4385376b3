-- A modality is declared in one file of `curate/modalities/`, so the catalog no longer lists those that it knows: the CHECKs that
-- named text and image go. DuckDB cannot change a checked column, so each table is copied into one without them.
-- `facts` is what was found when a sample was validated, beside its width and height.

CREATE TABLE real_samples_anew (
    sample_id    BIGINT  PRIMARY KEY DEFAULT nextval('sample_ids'),
    dataset_id   INTEGER NOT NULL,        -- of `datasets`; a foreign key would forbid to rename or remove it
    source_id    BIGINT  NOT NULL,
    locator      VARCHAR NOT NULL,        -- where it stood in the source when it was first read
    modality     VARCHAR NOT NULL CHECK (modality <> ''),   -- a plug-in's name
    content_hash VARCHAR NOT NULL,        -- SHA-256 of the UTF-8 text, or of the media bytes
    occurrence   INTEGER NOT NULL CHECK (occurrence >= 0),   -- 0 for the first equal record of its source
    external_id  VARCHAR,
    label        VARCHAR,
    text         VARCHAR,                 -- the content, or a caption beside a blob
    blob         VARCHAR,                 -- path below blobs/real
    size_bytes   BIGINT  NOT NULL CHECK (size_bytes >= 0),
    width        INTEGER CHECK (width > 0),   -- pixels, where the modality has such
    height       INTEGER CHECK (height > 0),
    facts        JSON,                    -- what its validation found beside these
    metadata     JSON,
    run_id       INTEGER NOT NULL,
    CHECK (text IS NOT NULL OR blob IS NOT NULL)
);
INSERT INTO real_samples_anew
SELECT sample_id, dataset_id, source_id, locator, modality, content_hash, occurrence, external_id, label, text, blob, size_bytes,
       width, height, NULL, metadata, run_id
FROM real_samples;
DROP TABLE real_samples;
ALTER TABLE real_samples_anew RENAME TO real_samples;

DROP INDEX synthetic_by_draw;

CREATE TABLE synthetic_samples_anew (
    sample_id       BIGINT  PRIMARY KEY DEFAULT nextval('sample_ids'),
    dataset_id      INTEGER NOT NULL,
    model_id        INTEGER NOT NULL,
    run_id          INTEGER NOT NULL,
    seed            BIGINT  NOT NULL CHECK (seed >= 0),
    draw_index      BIGINT  NOT NULL CHECK (draw_index >= 0),
    requested_label VARCHAR,              -- NULL only where the model knows no labels
    settings        JSON    NOT NULL,     -- everything the draw depends on beside model, seed and label
    depth           INTEGER NOT NULL CHECK (depth >= 1),
    parents         JSON    NOT NULL,     -- ids of the samples it was made from; [] where a model drew it from noise
    modality        VARCHAR NOT NULL CHECK (modality <> ''),
    content_hash    VARCHAR NOT NULL,
    label           VARCHAR,
    text            VARCHAR,
    blob            VARCHAR,              -- path below blobs/synthetic
    size_bytes      BIGINT  NOT NULL CHECK (size_bytes >= 0),
    width           INTEGER,
    height          INTEGER,
    facts           JSON,
    metadata        JSON,
    status          VARCHAR NOT NULL CHECK (status IN ('accepted', 'refused')),
    refusal         VARCHAR,
    nearest_id      BIGINT,               -- the nearest real sample
    nearest_real    DOUBLE,               -- cosine to it
    created_at      TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CHECK ((status = 'refused') = (refusal IS NOT NULL))
);
INSERT INTO synthetic_samples_anew
SELECT sample_id, dataset_id, model_id, run_id, seed, draw_index, requested_label, settings, depth, parents, modality, content_hash,
       label, text, blob, size_bytes, width, height, NULL, metadata, status, refusal, nearest_id, nearest_real, created_at
FROM synthetic_samples;
DROP TABLE synthetic_samples;
ALTER TABLE synthetic_samples_anew RENAME TO synthetic_samples;
CREATE UNIQUE INDEX synthetic_by_draw ON synthetic_samples (model_id, seed, draw_index);
