-- What must wait although there is room, and what is not accepted twice.

-- A kind's unique key, until an instant; without one, until the job ends, which clears the key.
ALTER TABLE job ADD COLUMN unique_key TEXT;
ALTER TABLE job ADD COLUMN unique_until_ms INTEGER;
CREATE UNIQUE INDEX job_of_unique_key ON job (unique_key) WHERE unique_key IS NOT NULL;

-- A key of which only so many jobs run at once, and whether the job is parked because they do.
ALTER TABLE job ADD COLUMN concurrency_key TEXT;
ALTER TABLE job ADD COLUMN concurrency_limit INTEGER CHECK (concurrency_limit > 0);
ALTER TABLE job ADD COLUMN parked INTEGER NOT NULL DEFAULT 0
  CHECK (parked IN (0, 1) AND (parked = 0 OR (state = 'blocked' AND concurrency_key IS NOT NULL)));
CREATE INDEX job_parked ON job (concurrency_key, rank_ms, id) WHERE parked = 1;

-- The places of a concurrency key that are taken: rows, not a count.
CREATE TABLE hold (
  key   TEXT    NOT NULL,
  n     INTEGER NOT NULL CHECK (n > 0),
  job   TEXT    NOT NULL REFERENCES job (id),
  token INTEGER NOT NULL,
  PRIMARY KEY (key, n)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX hold_of_job ON hold (job);

CREATE TABLE pause (
  scope    TEXT    NOT NULL CHECK (scope IN ('class', 'kind')),
  name     TEXT    NOT NULL,
  since_ms INTEGER NOT NULL,
  until_ms INTEGER,
  reason   TEXT    NOT NULL,
  PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- The bucket of a kind, as the instant at which it is full again, in microseconds.
CREATE TABLE rate (
  kind       TEXT    NOT NULL PRIMARY KEY,
  count      INTEGER NOT NULL CHECK (count > 0),
  per_ms     INTEGER NOT NULL CHECK (per_ms > 0),
  full_at_us INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- By kind, so that a claim can pass over those that are closed without reading their jobs.
DROP INDEX job_ready;
CREATE INDEX job_ready ON job (class, kind, rank_ms, id) WHERE state = 'queued';
