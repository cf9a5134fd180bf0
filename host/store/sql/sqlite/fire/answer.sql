UPDATE fire SET job = ?3 WHERE schedule = ?1 AND fire_ms = ?2
