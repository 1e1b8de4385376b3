-- What an embedder saw of a text: a verdict by its vector needs evidence that the model read what differs.
CREATE TABLE readings (
    slug      VARCHAR NOT NULL,
    sample_id BIGINT  NOT NULL,
    tokens    INTEGER NOT NULL CHECK (tokens >= 0),     -- that the model saw
    unknown   INTEGER NOT NULL CHECK (unknown >= 0),    -- of these, what it does not know
    cut       INTEGER NOT NULL CHECK (cut >= 0)         -- tokens beyond its window, which it did not see
);
