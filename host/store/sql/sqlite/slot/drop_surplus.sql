-- A class that has shrunk loses the slot of whichever job ends first.
DELETE FROM slot
WHERE job = ?1 AND token = ?2
  AND (SELECT count(*) FROM slot AS other WHERE other.class = slot.class)
    > (SELECT slots FROM class WHERE name = slot.class)
