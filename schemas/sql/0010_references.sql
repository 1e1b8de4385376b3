-- DuckDB refuses to rename or delete a row as long as a foreign key points at it, even where the pointing row goes in the same
-- transaction. `remove` and `rename` need both; `check` proves that every reference has its row.
DROP INDEX sources_by_uri;
CREATE TABLE sources_anew (
    source_id     BIGINT  PRIMARY KEY DEFAULT nextval('source_ids'),
    dataset_id    INTEGER NOT NULL,       -- of `datasets`
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
INSERT INTO sources_anew SELECT * FROM sources;
DROP TABLE sources;
ALTER TABLE sources_anew RENAME TO sources;
CREATE UNIQUE INDEX sources_by_uri ON sources (dataset_id, uri);

DROP INDEX splits_by_name;
CREATE TABLE splits_anew (
    split_id     INTEGER PRIMARY KEY DEFAULT nextval('split_ids'),
    dataset_id   INTEGER NOT NULL,
    name         VARCHAR NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    recipe       JSON    NOT NULL,
    seed         BIGINT  NOT NULL,
    members_hash VARCHAR NOT NULL,        -- SHA-256 over (content hash, part) of every member, sorted
    members      BIGINT  NOT NULL,
    run_id       INTEGER NOT NULL,
    created_at   TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
INSERT INTO splits_anew SELECT * FROM splits;
DROP TABLE splits;
ALTER TABLE splits_anew RENAME TO splits;
CREATE UNIQUE INDEX splits_by_name ON splits (dataset_id, name, version);

CREATE TABLE models_anew (
    model_id        INTEGER PRIMARY KEY DEFAULT nextval('model_ids'),
    name            VARCHAR NOT NULL UNIQUE,
    family          VARCHAR NOT NULL,     -- the generator plug-in
    dataset_id      INTEGER NOT NULL,
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
INSERT INTO models_anew SELECT * FROM models;
DROP TABLE models;
ALTER TABLE models_anew RENAME TO models;
