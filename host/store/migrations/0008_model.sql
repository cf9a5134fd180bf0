-- The model that a job will ask for, where that is known, so that a claim can go on with the one that is loaded.
-- By kind, so that it passes over those that are closed without reading their jobs.
ALTER TABLE job ADD COLUMN model TEXT;
CREATE INDEX job_of_model ON job (class, model, kind, rank_ms, id) WHERE state = 'queued' AND model IS NOT NULL;
