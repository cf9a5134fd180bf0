-- No move, hence no fence: what was paid was paid.
UPDATE job SET usage = ?2 WHERE id = ?1
