-- A failed call whose client waited on an open connection is no dead letter: nobody would hear of its retry. The
-- statements of dead letters repeat the condition, which is `Job::is_dead_letter`.
DROP INDEX job_dead;
CREATE INDEX job_dead ON job (id, kind, failure_code) WHERE state = 'failed' AND class <> 'client';
