-- Observations without TimescaleDB: one partition a month, made when a month is first needed.

CREATE TABLE observation (
    datastream      integer NOT NULL,
    phenomenon_time timestamptz NOT NULL,
    result          double precision NOT NULL,
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (datastream, phenomenon_time)
) PARTITION BY RANGE (phenomenon_time);

-- Make the partition of the month that holds this time, if it is not there; true when it made one.
CREATE FUNCTION ensure_observation_partition(at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    first  timestamptz := date_trunc('month', at, 'UTC');
    behind timestamptz := (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
    name   text := 'observation_' || to_char(first AT TIME ZONE 'UTC', 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('observation partitions'));
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF observation FOR VALUES FROM (%L) TO (%L)',
                   name, first, behind);
    RETURN true;
END $$;
