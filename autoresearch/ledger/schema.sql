-- Migration 1. Times are unix seconds, durations seconds, scores bits per byte (lower is better).

CREATE TABLE sessions (
  id          INTEGER PRIMARY KEY,
  tag         TEXT NOT NULL UNIQUE,
  branch      TEXT NOT NULL,
  base_sha    TEXT NOT NULL,
  agent       TEXT NOT NULL,
  judge       TEXT NOT NULL,
  seed        INTEGER NOT NULL,
  settings    TEXT NOT NULL DEFAULT '{}',  -- JSON; pinned: a change needs a new tag
  identity    TEXT NOT NULL DEFAULT '{}',  -- JSON; must be equal for two trials to be compared
  state       TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'ended')),
  stop_reason TEXT,
  grade       TEXT,
  layers      TEXT NOT NULL DEFAULT '{}',  -- JSON
  pid         INTEGER,                     -- the process that worked on it last
  pid_started REAL,                        -- its birth mark: process numbers are used again
  created     REAL NOT NULL,
  started     REAL,
  deadline    REAL,
  ended       REAL
) STRICT;

-- One row for each process that worked on a session: the time between two of them is not idle time.
CREATE TABLE spans (
  id         INTEGER PRIMARY KEY,
  session_id INTEGER NOT NULL REFERENCES sessions (id),
  pid        INTEGER NOT NULL,
  began      REAL NOT NULL
) STRICT;
CREATE INDEX spans_of_session ON spans (session_id);

CREATE TABLE experiments (
  id            INTEGER PRIMARY KEY,
  session_id    INTEGER NOT NULL REFERENCES sessions (id),
  n             INTEGER NOT NULL CHECK (n >= 0),  -- 0 is the base
  origin        INTEGER,                          -- n of the experiment that this one merges
  parent        INTEGER,                          -- n of the version that it was derived from
  sha           TEXT,
  blob          TEXT,
  fingerprint   TEXT,
  state         TEXT NOT NULL DEFAULT 'proposed'
                CHECK (state IN ('proposed', 'committed', 'measuring', 'measured', 'decided', 'settled')),
  verdict       TEXT CHECK (verdict IN ('keep', 'discard', 'crash', 'invalid', 'duplicate', 'suspect')),
  reason        TEXT,
  near_miss     INTEGER NOT NULL DEFAULT 0,
  agent         TEXT,
  model         TEXT,
  category      TEXT,
  hypothesis    TEXT,
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
CREATE INDEX experiments_by_fingerprint ON experiments (session_id, fingerprint);

CREATE TABLE trials (
  id            INTEGER PRIMARY KEY,
  session_id    INTEGER NOT NULL REFERENCES sessions (id),
  experiment_id INTEGER NOT NULL REFERENCES experiments (id),
  purpose       TEXT NOT NULL,               -- base screen rerun sentinel total smoke
  seed          INTEGER NOT NULL,
  blob          TEXT NOT NULL,
  outcome       TEXT CHECK (outcome IN
                  ('ok', 'oom', 'nan', 'crash', 'timeout', 'nothing_saved', 'suspect', 'infra')),
  val_bpb       REAL,
  train_seconds REAL,
  setup_seconds REAL,
  score_seconds REAL,
  grade         TEXT,
  result        TEXT NOT NULL DEFAULT '{}',  -- JSON
  started       REAL NOT NULL,
  ended         REAL,                        -- stays empty for a trial that was interrupted
  CHECK (val_bpb IS NULL OR outcome = 'ok')
) STRICT;
CREATE INDEX trials_of_experiment ON trials (experiment_id);
CREATE INDEX trials_of_session ON trials (session_id);

CREATE TABLE calls (
  id                 INTEGER PRIMARY KEY,
  session_id         INTEGER NOT NULL REFERENCES sessions (id),
  n                  INTEGER,                -- the experiment that it was made for
  purpose            TEXT NOT NULL DEFAULT 'propose',
  model              TEXT,
  input_tokens       INTEGER,                -- without those read from or written to the cache
  cache_read_tokens  INTEGER,
  cache_write_tokens INTEGER,
  output_tokens      INTEGER,
  cost_usd           REAL,                   -- empty: unknown
  seconds            REAL,
  error              TEXT,
  started            REAL NOT NULL
) STRICT;
CREATE INDEX calls_of_session ON calls (session_id);

-- Events, and messages to the running session (note, pause, unpause, stop), which have `taken` once they are read.
CREATE TABLE events (
  id         INTEGER PRIMARY KEY,
  session_id INTEGER NOT NULL REFERENCES sessions (id),
  at         REAL NOT NULL,
  kind       TEXT NOT NULL,
  n          INTEGER,
  text       TEXT NOT NULL,
  data       TEXT NOT NULL DEFAULT '{}',  -- JSON
  taken      REAL
) STRICT;
CREATE INDEX events_of_session ON events (session_id, kind);
