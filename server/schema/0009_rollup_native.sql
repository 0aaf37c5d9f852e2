-- Hours and days of each datastream, kept by the scheduler from the raw results: see server/rollup.py.
--
-- An hour holds the results of (begin_time, begin_time + 1 h], as the assessing has it; a day is 24 such hours
-- from midnight in Beijing (UTC+8). Results that models leave out are counted as `marked` and nothing else.

-- The results, NULL where they have a mark of domain/quality.py, DISTRUSTED: range, future, spike, stale.
CREATE VIEW trusted_observation AS
    SELECT datastream, phenomenon_time, CASE WHEN flags & 39 = 0 THEN result END AS result FROM observation;

CREATE TABLE rollup_hour (
    datastream integer NOT NULL,
    begin_time timestamptz NOT NULL,
    count      integer NOT NULL,
    marked     integer NOT NULL,
    min        double precision,
    max        double precision,
    sum        double precision,
    last       double precision,
    last_time  timestamptz,
    PRIMARY KEY (datastream, begin_time)
) WITH (fillfactor = 80);

CREATE TABLE rollup_day (LIKE rollup_hour INCLUDING ALL) WITH (fillfactor = 80);

CREATE VIEW observation_hour AS
    SELECT datastream, begin_time, count, marked, min, max, sum / nullif(count, 0) AS mean, sum, last, last_time
    FROM rollup_hour;
CREATE VIEW observation_day AS
    SELECT datastream, begin_time, count, marked, min, max, sum / nullif(count, 0) AS mean, sum, last, last_time
    FROM rollup_day;

-- Where the rollups are: behind that event, by (transaction, id) as the live feed goes. Raw results before
-- `floor` have been dropped.
CREATE TABLE rollup_state (xact xid8 NOT NULL, id bigint NOT NULL, floor timestamptz NOT NULL);
CREATE INDEX event_observed ON event (xact, id) WHERE kind = 'observed';

-- Recalculate these hours (whole hours since 1970, UTC) from the raw results, then their days from the hours.
-- Hours before the floor stand as they are: their raw results are gone.
CREATE FUNCTION roll_up(streams integer[], hours integer[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    done bigint;
BEGIN
    INSERT INTO rollup_hour
        SELECT c.datastream, c.begin_time, r.* FROM (
            SELECT DISTINCT datastream, to_timestamp(0) + hour * interval '1 hour' AS begin_time
            FROM unnest(streams, hours) AS u (datastream, hour)) c
        CROSS JOIN LATERAL (
            SELECT count(result), count(*) - count(result), min(result), max(result), sum(result),
                (array_agg(result ORDER BY phenomenon_time DESC) FILTER (WHERE result IS NOT NULL))[1],
                max(phenomenon_time) FILTER (WHERE result IS NOT NULL)
            FROM trusted_observation WHERE datastream = c.datastream
            AND phenomenon_time > c.begin_time AND phenomenon_time <= c.begin_time + interval '1 hour') r
        WHERE c.begin_time >= (SELECT floor FROM rollup_state)
    ON CONFLICT (datastream, begin_time) DO UPDATE SET (count, marked, min, max, sum, last, last_time) =
        (excluded.count, excluded.marked, excluded.min, excluded.max, excluded.sum, excluded.last,
         excluded.last_time);
    GET DIAGNOSTICS done = ROW_COUNT;
    INSERT INTO rollup_day
        SELECT c.datastream, c.begin_time, r.* FROM (
            SELECT DISTINCT datastream, date_bin('1 day', to_timestamp(0) + hour * interval '1 hour',
                                                 '1999-12-31 16:00Z') AS begin_time
            FROM unnest(streams, hours) AS u (datastream, hour)) c
        CROSS JOIN LATERAL (
            SELECT sum(count) AS count, sum(marked), min(min), max(max), sum(sum),
                (array_agg(last ORDER BY begin_time DESC) FILTER (WHERE count > 0))[1], max(last_time)
            FROM rollup_hour WHERE datastream = c.datastream
            AND begin_time >= c.begin_time AND begin_time < c.begin_time + interval '1 day') r
        WHERE r.count IS NOT NULL
    ON CONFLICT (datastream, begin_time) DO UPDATE SET (count, marked, min, max, sum, last, last_time) =
        (excluded.count, excluded.marked, excluded.min, excluded.max, excluded.sum, excluded.last,
         excluded.last_time);
    RETURN done;
END $$;

-- Fill hours and days from all raw results; needed where these were not written by ingest (a bulk load).
CREATE FUNCTION fill_rollups() RETURNS void LANGUAGE sql AS $$
    SELECT roll_up(array_agg(datastream), array_agg(hour)) FROM (
        SELECT DISTINCT datastream,
            floor(extract(epoch FROM phenomenon_time - interval '1 microsecond') / 3600)::integer AS hour
        FROM observation) o
    GROUP BY datastream
$$;

-- the place first, so that what is committed meanwhile is rolled up once more
INSERT INTO rollup_state VALUES (pg_snapshot_xmin(pg_current_snapshot()), 0, '-infinity');
SELECT fill_rollups();

CREATE VIEW observation_partition AS
    SELECT name, first AT TIME ZONE 'UTC' AS begin_time, (first + interval '1 month') AT TIME ZONE 'UTC' AS end_time
    FROM (SELECT relname AS name, to_date(right(relname, 6), 'YYYYMM')::timestamp AS first
          FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
          WHERE inhparent = 'observation'::regclass) p;
