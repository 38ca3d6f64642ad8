-- Migration 7: the speed of the slot's cores beside a trial, by the referee's kernel; NULL where it was not measured.

ALTER TABLE trials ADD COLUMN speed REAL;
