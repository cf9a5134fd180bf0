SELECT need.job, need.needs, need.on_failure FROM job CROSS JOIN need ON need.job = job.id WHERE job.flow = ?1
