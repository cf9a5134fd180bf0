SELECT min(run_at_ms) FROM job INDEXED BY job_due WHERE state = 'scheduled'
