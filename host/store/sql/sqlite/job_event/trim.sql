-- All but the latest ?2 events of the jobs in the array ?1.
DELETE FROM job_event
WHERE (job, seq) IN (SELECT event.job, event.seq
                     FROM json_each(?1) AS ended
                     CROSS JOIN job_event AS event ON event.job = ended.value
                       AND event.seq <= (SELECT max(seq) FROM job_event WHERE job = ended.value) - ?2)
