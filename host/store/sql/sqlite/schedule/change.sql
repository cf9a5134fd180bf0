-- With the same timing nothing that is due is lost; with another one nothing of the past is due.
UPDATE schedule
SET revision = ?2, handled_up_to_ms = iif(timing = ?3, handled_up_to_ms, ?4), timing = ?3
WHERE id = ?1
