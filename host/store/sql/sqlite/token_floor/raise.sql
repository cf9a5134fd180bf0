-- After a restore, for the ids of jobs that were submitted after the backup.
UPDATE token_floor SET token = token + ?1
