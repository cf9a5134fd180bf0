-- After a restore. The runs before the last retry on request keep their distance, so that postponements are counted as before;
-- and those that submitted children keep theirs.
UPDATE job SET token = token + ?1, replay_token = replay_token + ?1, submitted_by = submitted_by + ?1
