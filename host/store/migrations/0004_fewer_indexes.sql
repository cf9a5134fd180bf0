-- What a job costs is, most of all, the indexes that its moves rewrite.

-- A page of a state and a kind is read from the index of the state, which now knows the kind.
DROP INDEX job_by_state_and_kind;
DROP INDEX job_by_state;
CREATE INDEX job_by_state ON job (state, id, kind);

-- That a job has one open run is the slot's and the token's to say.
DROP INDEX attempt_open;
