-- All but the latest ?2 events. ?1 is an array of jobs, each with the token of its latest run.
DELETE FROM job_event
WHERE (job, seq) IN (SELECT event.job, event.seq
                     FROM json_each(?1) AS ended
                     CROSS JOIN job_event AS event ON event.job = ended.value ->> 0
                       AND event.seq <= (SELECT max(seq) FROM job_event WHERE job = ended.value ->> 0) - ?2)
