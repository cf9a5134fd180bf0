-- ?1 is an array of jobs that were just inserted.
INSERT INTO job_input (job, input)
SELECT value ->> 'id', value ->> 'input' FROM json_each(?1)
