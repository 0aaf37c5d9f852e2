-- The index on time alone that a hypertable brings: a page of one datastream in the order of time walked it and
-- read forty times what it shows. The primary key serves every reader, as it does without TimescaleDB.
DROP INDEX IF EXISTS observation_phenomenon_time_idx;
