-- With the state of each needed job, or none if it was deleted.
SELECT need.needs, need.on_failure, needed.state, coalesce(needed.name, need.needs) AS name
FROM need LEFT JOIN job AS needed ON needed.id = need.needs
WHERE need.job = ?1
