-- The needed jobs that are kept, in the order in which their flow was submitted; of those named in ?2 with
-- their results, if these have at most ?3 bytes together. Their length is asked first, which reads none of them.
WITH wanted (bytes) AS MATERIALIZED (
  SELECT sum(octet_length(job.output)) FROM need CROSS JOIN job ON job.id = need.needs
  WHERE need.job = ?1 AND job.name IN (SELECT value FROM json_each(?2))
)
SELECT needed.id, needed.name, needed.state, needed.failure, coalesce(octet_length(needed.output), 0) AS output_bytes,
       CASE WHEN needed.name IN (SELECT value FROM json_each(?2)) AND (SELECT bytes FROM wanted) <= ?3
            THEN needed.output END AS output
FROM need CROSS JOIN job AS needed ON needed.id = need.needs
WHERE need.job = ?1
ORDER BY needed.place
