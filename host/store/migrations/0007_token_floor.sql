-- A submitter may send the id of a deleted job again. A run of the old job that slept meanwhile must not be taken
-- for a run of the new one, so the tokens of new jobs begin above those of all that were deleted.
CREATE TABLE token_floor (
  one   INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  token INTEGER NOT NULL CHECK (token >= 0)
) STRICT;
INSERT INTO token_floor (one, token) VALUES (1, 0);

CREATE TRIGGER job_deleted AFTER DELETE ON job
WHEN OLD.token > (SELECT token FROM token_floor)
BEGIN
  UPDATE token_floor SET token = OLD.token;
END;
