-- Every run seals what it wrote: per table and run, how many rows there are and a digest of them that does not depend on
-- their order. A transaction adds what it inserted and takes away what it changed, so that a commit costs its own rows alone,
-- and rows that nobody changed lawfully keep the seal of the run that wrote them.
CREATE TABLE seals (
    table_name VARCHAR   NOT NULL,
    run_id     INTEGER   NOT NULL,        -- the run whose rows they are; 0 where the table's rows name no run
    row_count  BIGINT    NOT NULL,
    digest     UBIGINT   NOT NULL,        -- sum over the rows of half the MD5 of each row's columns, modulo 2^64
    sealed_by  INTEGER,                   -- the run that changed them last; NULL: an upgrade, or the housekeeping of a writer
    sealed_at  TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    seal       VARCHAR   NOT NULL         -- SHA-256 over the other columns
);

-- The files that no row holds and no name hashes: those of a trained model, and curate.toml.
CREATE TABLE files (
    path         VARCHAR NOT NULL,        -- below the workspace, parts joined by '/'
    model_id     INTEGER,                 -- NULL for a file of the workspace itself
    size_bytes   BIGINT  NOT NULL,
    content_hash VARCHAR NOT NULL,        -- SHA-256 of the bytes
    run_id       INTEGER NOT NULL         -- the run that wrote or last took it over; 0: an upgrade
);
