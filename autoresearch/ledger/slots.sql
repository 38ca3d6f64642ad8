-- Migration 4: the number of slots on which a process worked at once; times of a session are sums over slots.

ALTER TABLE spans ADD COLUMN slots INTEGER NOT NULL DEFAULT 1;
