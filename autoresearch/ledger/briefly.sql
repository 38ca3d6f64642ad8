-- Migration 3: columns and an index for lists of trials, which then need not read whole results.

ALTER TABLE trials ADD COLUMN num_params REAL;  -- as train.py says
ALTER TABLE trials ADD COLUMN peak_mb REAL;     -- of GPU memory, by the driver
UPDATE trials SET num_params = json_extract(result, '$.reported.num_params'), peak_mb = json_extract(result, '$.peak_vram_mb');
CREATE INDEX trials_briefly ON trials (session_id, experiment_id, purpose, outcome, started, ended, grade, num_params, peak_mb);
