-- What belongs to the jobs goes with them. Of the deliveries that are not over, one for each target is
-- pending.
DELETE FROM job
WHERE id IN (SELECT id FROM job INDEXED BY job_ended
             WHERE state = ?1 AND finished_at_ms <= ?2
               AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.job = job.id AND delivery.state = 'pending')
               AND (flow IS NULL OR NOT EXISTS (
                 SELECT 1 FROM job AS other
                 WHERE other.flow = job.flow
                   AND other.state IN ('blocked', 'scheduled', 'queued', 'loading', 'working')))
               AND (parent IS NULL OR NOT EXISTS (
                 SELECT 1 FROM job AS elder WHERE elder.id = job.parent AND elder.finished_at_ms IS NULL))
             ORDER BY finished_at_ms
             LIMIT +?3)
RETURNING flow
