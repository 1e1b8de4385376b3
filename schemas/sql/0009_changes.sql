-- What an update changed in a sample that was there already, so that it can be shown and taken back.
CREATE SEQUENCE change_ids;
CREATE TABLE changes (
    change_id  BIGINT  PRIMARY KEY DEFAULT nextval('change_ids'),
    run_id     INTEGER NOT NULL,          -- the run that changed it
    sample_id  BIGINT  NOT NULL,
    field      VARCHAR NOT NULL CHECK (field IN ('label', 'external_id', 'metadata')),
    old        VARCHAR,
    new        VARCHAR
);
