-- The oldest dead letters after ?4; of kind ?1, with code ?2 and of before ?5, where these are given.
SELECT id, flow FROM job INDEXED BY job_dead
WHERE state = 'failed' AND class <> 'client' AND (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR failure_code = ?2)
  AND id > ?4 AND (?5 IS NULL OR finished_at_ms < ?5)
ORDER BY id
LIMIT +?3
