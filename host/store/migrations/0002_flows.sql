-- Flows: jobs that wait for each other.

CREATE TABLE flow (
  id              TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 26),
  name            TEXT    CHECK (length(name) >= 1),
  -- As submitted; some may have been deleted since.
  jobs            INTEGER NOT NULL CHECK (jobs > 0),
  -- Tells whether a repeated submission asks for the same.
  digest          TEXT    NOT NULL,
  enqueued_at_ms  INTEGER NOT NULL,
  -- The submitter's. Free again when the row goes.
  idempotency_key TEXT    CHECK (length(idempotency_key) BETWEEN 1 AND 255)
) STRICT;
CREATE UNIQUE INDEX flow_of_key ON flow (idempotency_key) WHERE idempotency_key IS NOT NULL;

ALTER TABLE job ADD COLUMN flow TEXT REFERENCES flow (id);
-- Its name and its place in the flow.
ALTER TABLE job ADD COLUMN name  TEXT    CHECK ((name  IS NULL) = (flow IS NULL));
ALTER TABLE job ADD COLUMN place INTEGER CHECK ((place IS NULL) = (flow IS NULL));
-- How many of the jobs that a blocked job needs are not over.
ALTER TABLE job ADD COLUMN waits INTEGER NOT NULL DEFAULT 0
  CHECK (waits = 0 OR (waits > 0 AND state = 'blocked'));

-- Without the jobs of no flow, which therefore pay nothing for it. With all that counting a flow needs.
CREATE INDEX        job_of_flow ON job (flow, state, finished_at_ms) WHERE flow IS NOT NULL;
CREATE UNIQUE INDEX job_by_name ON job (flow, name)                  WHERE flow IS NOT NULL;

-- An edge. It outlives the job that is needed: one that was deleted has no result.
CREATE TABLE need (
  job        TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  needs      TEXT NOT NULL,
  on_failure TEXT NOT NULL CHECK (on_failure IN ('fail', 'continue', 'ignore')),
  PRIMARY KEY (job, needs)
) STRICT, WITHOUT ROWID;
CREATE INDEX need_of ON need (needs, on_failure);
