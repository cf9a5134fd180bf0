-- ?1 is an array of places.
INSERT INTO hold (key, n, job, token)
SELECT value ->> 'key', value ->> 'n', value ->> 'job', value ->> 'token' FROM jsonb_each(?1)
