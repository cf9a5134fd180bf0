-- The oldest dead letters; of kind ?1, with code ?2 and of before ?4, where these are given. What belongs to them goes
-- with them. Of the deliveries that are not over, one for each target is pending.
DELETE FROM job
WHERE id IN (SELECT id FROM job INDEXED BY job_dead
             WHERE state = 'failed' AND class <> 'client' AND (?1 IS NULL OR kind = ?1)
               AND (?2 IS NULL OR failure_code = ?2) AND (?4 IS NULL OR finished_at_ms < ?4)
               AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.job = job.id AND delivery.state = 'pending')
               AND (flow IS NULL OR NOT EXISTS (
                 SELECT 1 FROM job AS other
                 WHERE other.flow = job.flow
                   AND other.state IN ('blocked', 'scheduled', 'queued', 'loading', 'working')))
               AND (parent IS NULL OR NOT EXISTS (
                 SELECT 1 FROM job AS elder WHERE elder.id = job.parent AND elder.finished_at_ms IS NULL))
             ORDER BY id
             LIMIT +?3)
RETURNING flow
