-- What the marks of results rest on (ingest/limits.py has the defaults), and sensors that have gone silent.

-- Results that were observed before then do not fit to those after: the device was moved, or set to zero.
ALTER TABLE thing ADD COLUMN reset_at timestamptz;

-- NULL: the default of the observed property; 0: off.
ALTER TABLE datastream
    ADD COLUMN spike_sigma      double precision CHECK (spike_sigma BETWEEN 0 AND 1000),      -- standard deviations
    ADD COLUMN spike_floor      double precision CHECK (spike_floor BETWEEN 0 AND 1e9),       -- in its unit
    ADD COLUMN stuck_after_h    double precision CHECK (stuck_after_h BETWEEN 0 AND 1e6),
    ADD COLUMN max_rate_per_h   double precision CHECK (max_rate_per_h BETWEEN 0 AND 1e12),   -- its unit an hour
    -- NULL: estimated from the last results
    ADD COLUMN expected_every_s double precision CHECK (expected_every_s BETWEEN 0.001 AND 1e9);

-- how often the datastream speaks (s), estimated when the result came in; NULL while that is not known
ALTER TABLE latest ADD COLUMN every_s double precision;

-- Datastreams that have said nothing for too long, and when they were heard last: owned by ingest.
CREATE TABLE silence (
    datastream integer PRIMARY KEY,
    since      timestamptz NOT NULL
);

-- A time in microseconds since 1970, as ingest counts.
CREATE FUNCTION us_of(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT (extract(epoch FROM at) * 1000000)::bigint';

CREATE OR REPLACE FUNCTION fill_latest() RETURNS void LANGUAGE sql AS $$
    INSERT INTO latest (datastream, phenomenon_time, result, flags, received_at, every_s)
        SELECT d.id, o.phenomenon_time, o.result, o.flags, o.received_at, e.every_s FROM datastream d
        CROSS JOIN LATERAL (SELECT * FROM observation WHERE datastream = d.id AND flags & 2 = 0
                            ORDER BY phenomenon_time DESC LIMIT 1) o
        CROSS JOIN LATERAL (
            SELECT CASE WHEN count(gap) >= 5 THEN
                percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM gap)) END AS every_s
            FROM (SELECT phenomenon_time - lag(phenomenon_time) OVER (ORDER BY phenomenon_time) AS gap
                  FROM (SELECT phenomenon_time FROM observation WHERE datastream = d.id AND flags & 2 = 0
                        ORDER BY phenomenon_time DESC LIMIT 8) last) gaps) e
    ON CONFLICT (datastream) DO UPDATE SET phenomenon_time = excluded.phenomenon_time,
        result = excluded.result, flags = excluded.flags, received_at = excluded.received_at,
        every_s = excluded.every_s
$$;
SELECT fill_latest();
