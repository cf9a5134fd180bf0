-- INDEXED BY: the planner would rather take all scheduled jobs from job_by_state and sort them.
SELECT id FROM job INDEXED BY job_due WHERE state = 'scheduled' AND run_at_ms <= ?1 ORDER BY run_at_ms LIMIT +?2
