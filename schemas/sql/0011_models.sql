-- A model may go on from another one and may learn from several datasets, and what its loss asks for has a name of its own.

CREATE TABLE models_anew (
    model_id        INTEGER PRIMARY KEY DEFAULT nextval('model_ids'),
    name            VARCHAR NOT NULL UNIQUE,
    family          VARCHAR NOT NULL,     -- the generator plug-in
    objective       VARCHAR,              -- what its loss asks for: flow_matching, epsilon, next_token, …; NULL: not recorded
    parent_id       INTEGER,              -- the model that its training went on from
    base_model      VARCHAR,              -- a pretrained model from elsewhere that it started from
    dataset_id      INTEGER NOT NULL,     -- that its draws belong to
    settings        JSON    NOT NULL,
    folder          VARCHAR NOT NULL,     -- below models/
    checkpoint_hash VARCHAR,              -- SHA-256 of the trained weights; NULL until training is done
    depth           INTEGER NOT NULL CHECK (depth >= 0),   -- 0: learned from real data alone
    run_id          INTEGER NOT NULL,
    created_at      TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

-- What a model learned from: one row a split.
CREATE TABLE model_sources (
    model_id   INTEGER NOT NULL,
    dataset_id INTEGER NOT NULL,
    split_id   INTEGER NOT NULL,
    part       VARCHAR NOT NULL CHECK (part = 'train')
);

INSERT INTO models_anew
SELECT model_id, name, family,
       CASE family
           WHEN 'causal-lm' THEN 'next_token'
           WHEN 'diffusion' THEN
               CASE settings ->> '$.settings.objective'
                   WHEN 'flow' THEN 'flow_matching' WHEN 'noise' THEN 'epsilon' WHEN 'velocity' THEN 'v_prediction'
                   ELSE settings ->> '$.settings.objective'
               END
       END,
       NULL, base_model, dataset_id, settings, folder, checkpoint_hash, depth, run_id, created_at
FROM models;
INSERT INTO model_sources SELECT model_id, dataset_id, split_id, part FROM models;
DROP TABLE models;
ALTER TABLE models_anew RENAME TO models;
CREATE UNIQUE INDEX model_sources_by_split ON model_sources (model_id, split_id, part);

CREATE OR REPLACE VIEW lineage AS
SELECT s.sample_id, s.status, s.refusal, m.name AS model, m.family, m.objective, parent.name AS parent_model, m.base_model,
       m.checkpoint_hash, d.name AS trained_on, p.name AS split, p.version AS split_version, p.members_hash, o.part, s.seed,
       s.draw_index, s.requested_label, s.settings, s.depth, s.parents, s.nearest_id, s.nearest_real, s.run_id AS draw_run,
       m.run_id AS train_run
FROM synthetic_samples s JOIN models m USING (model_id) JOIN model_sources o USING (model_id) JOIN splits p USING (split_id)
JOIN datasets d ON d.dataset_id = o.dataset_id LEFT JOIN models parent ON parent.model_id = m.parent_id;
