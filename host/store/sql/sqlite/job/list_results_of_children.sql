-- Those of the jobs ?2 that are children of job ?1; with their results, if these have at most ?3 bytes together.
-- Their length is asked first, which reads none of them.
WITH wanted (id) AS MATERIALIZED (
  SELECT job.id FROM json_each(?2) AS of_parent CROSS JOIN job ON job.id = of_parent.value WHERE job.parent = ?1
), size (bytes) AS MATERIALIZED (
  SELECT sum(octet_length(job.output)) FROM wanted CROSS JOIN job ON job.id = wanted.id
)
SELECT job.id, child_name AS name, state, failure, coalesce(octet_length(output), 0) AS output_bytes,
       CASE WHEN (SELECT bytes FROM size) <= ?3 THEN output END AS output
FROM wanted CROSS JOIN job ON job.id = wanted.id
