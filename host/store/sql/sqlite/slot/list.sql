SELECT n, job IS NOT NULL AS busy FROM slot WHERE class = ?1 ORDER BY n
