-- Whether a queued job of the class ?1 asks for one of the models ?2.
SELECT EXISTS (
  SELECT 1 FROM json_each(?2) AS wanted
  CROSS JOIN job INDEXED BY job_of_model
    ON job.class = ?1 AND job.model = wanted.value AND job.state = 'queued')
