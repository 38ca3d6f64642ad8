-- Migration 5: the version that a session started from, if that is another session's.

ALTER TABLE sessions ADD COLUMN from_tag TEXT;   -- the other session
ALTER TABLE sessions ADD COLUMN from_n INTEGER;  -- number of its version
ALTER TABLE sessions ADD COLUMN head TEXT;       -- HEAD at the start: `base_sha` is the commit of that version
