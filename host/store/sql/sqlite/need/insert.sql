-- ?1 is an array of edges.
INSERT INTO need (job, needs, on_failure)
SELECT value ->> 'job', value ->> 'needs', value ->> 'on_failure' FROM jsonb_each(?1)
