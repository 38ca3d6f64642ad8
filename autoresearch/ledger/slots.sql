-- Migration 4: on how many slots a process worked at once; seconds of the night are seconds of slots.

ALTER TABLE spans ADD COLUMN slots INTEGER NOT NULL DEFAULT 1;
