-- One table an embedder, made when its first vector is stored. {slug} and {dimension} are checked before they are put in.
CREATE TABLE vectors_{slug} (
    sample_id BIGINT NOT NULL,
    vector    FLOAT[{dimension}] NOT NULL
);
