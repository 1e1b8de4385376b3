-- A protection is a standing rule: no kept sample of a dataset may resemble a set that it is held apart from, such as the eval set of
-- what is trained on it. Rules, their ends and what was compared are rows that are added and never changed.
CREATE SEQUENCE protection_ids;

CREATE TABLE protections (
    protection_id INTEGER PRIMARY KEY DEFAULT nextval('protection_ids'),
    dataset_id    INTEGER NOT NULL,
    typed         VARCHAR NOT NULL,       -- the set as somebody typed it: support-test, support/test
    reference     VARCHAR NOT NULL,       -- what it named then: support-test, support@default:1/test
    reference_id  INTEGER NOT NULL,
    split_id      INTEGER,                -- NULL: all that is kept in the dataset
    part          VARCHAR CHECK (part IN ('train', 'validation', 'test')),
    methods       JSON    NOT NULL,       -- modality, method, its settings with threshold and embedder
    run_id        INTEGER NOT NULL,
    created_at    TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    CHECK (split_id IS NOT NULL OR (part IS NULL AND reference_id <> dataset_id))
);

CREATE TABLE protection_ends (
    protection_id INTEGER PRIMARY KEY,
    dataset_id    INTEGER NOT NULL,
    run_id        INTEGER NOT NULL,
    ended_at      TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- One row each time that a rule was held against the samples that there were.
CREATE TABLE protection_sweeps (
    protection_id INTEGER NOT NULL,
    dataset_id    INTEGER NOT NULL,
    run_id        INTEGER NOT NULL,
    state         VARCHAR NOT NULL,       -- a hash of what was compared with what
    samples       BIGINT  NOT NULL,
    matched       BIGINT  NOT NULL,
    swept_at      TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);
