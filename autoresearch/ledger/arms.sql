-- Migration 10: the arm (researcher of a session with several) of an experiment and of a call; NULL where there is one.
-- The table is rebuilt: `text` has to stay the last column.

CREATE TABLE experiments_10 (
  id            INTEGER PRIMARY KEY,
  session_id    INTEGER NOT NULL REFERENCES sessions (id),
  n             INTEGER NOT NULL CHECK (n >= 0),  -- 0 is the base
  origin        INTEGER,                          -- n of the experiment that this one merges
  parent        INTEGER,                          -- n of the version that it was derived from
  line          INTEGER,                          -- n of the experiment whose line of inquiry it goes on with
  mode          TEXT,                             -- what was asked for; empty: nothing in particular
  sha           TEXT,
  blob          TEXT,
  fingerprint   TEXT,
  shape         TEXT,                             -- fingerprint without the values of its constants
  numbers       TEXT NOT NULL DEFAULT '[]',       -- JSON; these values, in order
  state         TEXT NOT NULL DEFAULT 'proposed'
                CHECK (state IN ('proposed', 'committed', 'measuring', 'measured', 'decided', 'settled')),
  verdict       TEXT CHECK (verdict IN ('keep', 'discard', 'crash', 'invalid', 'duplicate', 'suspect')),
  reason        TEXT,
  near_miss     INTEGER NOT NULL DEFAULT 0,
  arm           TEXT,
  agent         TEXT,
  model         TEXT,
  category      TEXT,
  hypothesis    TEXT,                             -- what the agent says
  change        TEXT,                             -- what the two texts say
  predicted     REAL,
  params        TEXT NOT NULL DEFAULT '{}',       -- JSON
  program_hash  TEXT,
  val_bpb       REAL,
  delta         REAL,
  sigma         REAL,
  p_gain        REAL,
  lines_added   INTEGER,
  lines_removed INTEGER,
  cost_usd      REAL,
  started       REAL NOT NULL,
  settled       REAL,
  text          TEXT,                             -- last, so that reading the other columns need not pass it
  UNIQUE (session_id, n)
) STRICT;

INSERT INTO experiments_10 (
  id, session_id, n, origin, parent, line, mode, sha, blob, fingerprint, shape, numbers, state, verdict, reason,
  near_miss, agent, model, category, hypothesis, change, predicted, params, program_hash, val_bpb, delta, sigma, p_gain,
  lines_added, lines_removed, cost_usd, started, settled, text
)
SELECT
  id, session_id, n, origin, parent, line, mode, sha, blob, fingerprint, shape, numbers, state, verdict, reason,
  near_miss, agent, model, category, hypothesis, change, predicted, params, program_hash, val_bpb, delta, sigma, p_gain,
  lines_added, lines_removed, cost_usd, started, settled, text
FROM experiments;

DROP TABLE experiments;
ALTER TABLE experiments_10 RENAME TO experiments;
CREATE INDEX experiments_by_fingerprint ON experiments (session_id, fingerprint);
CREATE INDEX experiments_by_shape ON experiments (session_id, shape);

ALTER TABLE calls ADD COLUMN arm TEXT;
