-- Children: jobs that a job submits while it runs, and that it may wait for.

-- A child outlives its parent.
ALTER TABLE job ADD COLUMN parent TEXT REFERENCES job (id) ON DELETE SET NULL;
-- How many jobs are above it.
ALTER TABLE job ADD COLUMN depth INTEGER NOT NULL DEFAULT 0
  CHECK (depth >= 0 AND (depth > 0 OR parent IS NULL));
-- By which its parent knows it.
ALTER TABLE job ADD COLUMN child_name TEXT
  CHECK ((child_name IS NULL) = (depth = 0) AND octet_length(child_name) BETWEEN 1 AND 100);
-- The run of the parent that submitted it, or gave it its last life.
ALTER TABLE job ADD COLUMN submitted_by INTEGER CHECK ((submitted_by IS NULL) = (depth = 0));
-- Whether its parent, if that is blocked, waits for it.
ALTER TABLE job ADD COLUMN is_awaited INTEGER NOT NULL DEFAULT 0 CHECK (is_awaited IN (0, 1));
-- How many children a blocked job waits for.
ALTER TABLE job ADD COLUMN awaits INTEGER NOT NULL DEFAULT 0
  CHECK (awaits = 0 OR (awaits > 0 AND state = 'blocked'));

-- Without the jobs that are no children, which therefore pay nothing for it.
CREATE UNIQUE INDEX job_of_parent ON job (parent, child_name) WHERE parent IS NOT NULL;
