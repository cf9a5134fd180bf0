-- One of the jobs ?1, if there is one already.
SELECT job.id FROM json_each(?1) AS wanted CROSS JOIN job ON job.id = wanted.value LIMIT 1
