-- Hours and days of each datastream as continuous aggregates; what is newer than they are is added when read.
--
-- An hour holds the results of (begin_time, begin_time + 1 h], as the assessing has it; a day is 24 such hours
-- from midnight in Beijing (UTC+8). Both buckets begin one microsecond late for that, and share their origin,
-- without which the days could not be built on the hours. Results that models leave out (a mark of
-- domain/quality.py, DISTRUSTED: range, future, spike, stale) are counted as `marked` and nothing else.

CREATE MATERIALIZED VIEW rollup_hour WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT datastream,
        time_bucket(interval '1 hour', phenomenon_time, timestamptz '1999-12-31 16:00:00.000001+00') AS bucket,
        count(*) FILTER (WHERE flags & 39 = 0) AS count,
        count(*) FILTER (WHERE flags & 39 <> 0) AS marked,
        min(result) FILTER (WHERE flags & 39 = 0) AS min,
        max(result) FILTER (WHERE flags & 39 = 0) AS max,
        sum(result) FILTER (WHERE flags & 39 = 0) AS sum,
        last(result, phenomenon_time) FILTER (WHERE flags & 39 = 0) AS last,
        max(phenomenon_time) FILTER (WHERE flags & 39 = 0) AS last_time
    FROM observation GROUP BY 1, 2 WITH NO DATA;

CREATE MATERIALIZED VIEW rollup_day WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT datastream,
        time_bucket(interval '1 day', bucket, timestamptz '1999-12-31 16:00:00.000001+00') AS bucket,
        sum(count)::bigint AS count, sum(marked)::bigint AS marked, min(min) AS min, max(max) AS max,
        sum(sum) AS sum, last(last, last_time) AS last, max(last_time) AS last_time
    FROM rollup_hour GROUP BY 1, 2 WITH NO DATA;

CREATE VIEW observation_hour AS
    SELECT datastream, bucket - interval '1 microsecond' AS begin_time, count, marked, min, max,
        sum / nullif(count, 0) AS mean, sum, last, last_time
    FROM rollup_hour;
CREATE VIEW observation_day AS
    SELECT datastream, bucket - interval '1 microsecond' AS begin_time, count, marked, min, max,
        sum / nullif(count, 0) AS mean, sum, last, last_time
    FROM rollup_day;

-- From the beginning of time, as late data come from any; only what has changed is calculated.
SELECT add_continuous_aggregate_policy('rollup_hour', start_offset => NULL, end_offset => interval '1 hour',
                                       schedule_interval => interval '1 minute');
SELECT add_continuous_aggregate_policy('rollup_day', start_offset => NULL, end_offset => interval '1 day',
                                       schedule_interval => interval '5 minutes');

-- Raw results before `floor` have been dropped. No event is waited for: the aggregates need none.
CREATE TABLE rollup_state (xact xid8 NOT NULL, id bigint NOT NULL, floor timestamptz NOT NULL);
INSERT INTO rollup_state VALUES ('18446744073709551615', 0, '-infinity');

-- The aggregates see all raw results, whoever wrote them.
CREATE FUNCTION fill_rollups() RETURNS void LANGUAGE sql AS '';

CREATE VIEW observation_partition AS
    SELECT chunk_name AS name, range_start AS begin_time, range_end AS end_time
    FROM timescaledb_information.chunks WHERE hypertable_schema = 'public' AND hypertable_name = 'observation';
