-- The jobs of the flows ?1, those that are alike together. The failure of a job that others need is
-- ignored if all of these ignore it. The subqueries are asked of failed and cancelled jobs alone.
SELECT flow, state, count(*) AS jobs, max(finished_at_ms) AS finished_at_ms,
       CASE WHEN state IN ('failed', 'cancelled')
            THEN EXISTS (SELECT 1 FROM need WHERE needs = job.id)
                 AND NOT EXISTS (SELECT 1 FROM need WHERE needs = job.id AND on_failure IN ('fail', 'continue'))
            ELSE 0 END AS is_ignored
FROM job
WHERE flow IN (SELECT value FROM json_each(?1))
GROUP BY flow, state, is_ignored
