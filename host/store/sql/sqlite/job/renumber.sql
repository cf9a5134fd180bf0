-- After a restore. The runs before the last replay keep their distance, so that postponements are counted as before.
UPDATE job SET token = token + ?1, replay_token = replay_token + ?1
