-- A job that is not over at its deadline fails. A replay clears it.
ALTER TABLE job ADD COLUMN deadline_ms INTEGER;

-- Without the jobs of no deadline, which therefore pay nothing for it, and without those that have ended.
CREATE INDEX job_deadline ON job (deadline_ms) WHERE deadline_ms IS NOT NULL AND finished_at_ms IS NULL;
