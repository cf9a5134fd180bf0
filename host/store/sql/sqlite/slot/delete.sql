DELETE FROM slot WHERE class = ?1 AND n = ?2 AND job IS NULL
