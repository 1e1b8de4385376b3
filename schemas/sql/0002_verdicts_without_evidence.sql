-- arg_max passes over NULL: a sample that a dedupe restored kept the evidence of its earlier drop.
CREATE OR REPLACE VIEW current_verdicts AS
SELECT sample_id, max(verdict_id) AS verdict_id, arg_max(action, verdict_id) AS action, arg_max(reason, verdict_id) AS reason,
       arg_max_null(duplicate_id, verdict_id) AS duplicate_id, arg_max(run_id, verdict_id) AS run_id
FROM verdicts GROUP BY sample_id;
