-- Migration 9: trials of a command without a number that counts have an outcome of their own: `invalid`.

CREATE TABLE trials_9 (
  id            INTEGER PRIMARY KEY,
  session_id    INTEGER NOT NULL REFERENCES sessions (id),
  experiment_id INTEGER NOT NULL REFERENCES experiments (id),
  purpose       TEXT NOT NULL,               -- base screen rerun sentinel filler total ablate transfer checkpoint
  seed          INTEGER NOT NULL,
  blob          TEXT NOT NULL,
  outcome       TEXT CHECK (outcome IN
                  ('ok', 'oom', 'nan', 'crash', 'timeout', 'nothing_saved', 'suspect', 'infra', 'stopped',
                   'invalid')),
  val_bpb       REAL,
  train_seconds REAL,
  setup_seconds REAL,
  score_seconds REAL,
  grade         TEXT,
  result        TEXT NOT NULL DEFAULT '{}',  -- JSON
  started       REAL NOT NULL,
  ended         REAL,                        -- stays empty for a trial that was interrupted
  num_params    REAL,                        -- numbers in the checkpoint
  peak_mb       REAL,                        -- of GPU memory, by the driver
  speed         REAL,                        -- of the slot's cores, by the referee's kernel
  CHECK (val_bpb IS NULL OR outcome = 'ok')
) STRICT;

INSERT INTO trials_9 (
  id, session_id, experiment_id, purpose, seed, blob, outcome, val_bpb, train_seconds, setup_seconds, score_seconds,
  grade, result, started, ended, num_params, peak_mb, speed
)
SELECT
  id, session_id, experiment_id, purpose, seed, blob, outcome, val_bpb, train_seconds, setup_seconds, score_seconds,
  grade, result, started, ended, num_params, peak_mb, speed
FROM trials;

DROP TABLE trials;
ALTER TABLE trials_9 RENAME TO trials;
CREATE INDEX trials_of_experiment ON trials (experiment_id);
CREATE INDEX trials_of_session ON trials (session_id);
CREATE INDEX trials_briefly ON trials (session_id, experiment_id, purpose, outcome, started, ended, grade, num_params, peak_mb);
