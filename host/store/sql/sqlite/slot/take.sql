UPDATE slot SET job = ?3, token = ?4 WHERE class = ?1 AND n = ?2 AND job IS NULL
