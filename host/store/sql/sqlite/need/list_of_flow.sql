-- In the order of the submission: ids made in one millisecond have none.
SELECT need.job, need.needs, need.on_failure
FROM job CROSS JOIN need ON need.job = job.id LEFT JOIN job AS needed ON needed.id = need.needs
WHERE job.flow = ?1
ORDER BY needed.place
