-- What is due to each target, so that a look passes over the backlog of one that is busy without reading it.
CREATE INDEX delivery_of_target ON delivery (target, next_at_ms, seq) WHERE state = 'pending';
