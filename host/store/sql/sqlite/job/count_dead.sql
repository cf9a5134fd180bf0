-- Of kind ?1, with code ?2 and of before ?3, where these are given.
SELECT count(*) FROM job INDEXED BY job_dead
WHERE state = 'failed' AND class <> 'client' AND (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR failure_code = ?2)
  AND (?3 IS NULL OR finished_at_ms < ?3)
