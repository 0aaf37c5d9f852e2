-- Marks are stored with their results (bits: domain/quality.py), and the newest result of each datastream apart.

ALTER TABLE observation ADD COLUMN flags smallint NOT NULL DEFAULT 0;

UPDATE observation o SET flags = f.bits
    FROM (SELECT datastream, phenomenon_time, sum(CASE reason WHEN 'range' THEN 1 ELSE 2 END) AS bits
          FROM flag GROUP BY datastream, phenomenon_time) f
    WHERE o.datastream = f.datastream AND o.phenomenon_time = f.phenomenon_time;
DROP TABLE flag;

-- marked results are few
CREATE INDEX observation_marked ON observation (datastream, phenomenon_time) WHERE flags <> 0;

CREATE FUNCTION flag_words(flags smallint) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(word ORDER BY bit), '{}')
    FROM (VALUES (1, 'range'), (2, 'future'), (4, 'spike'), (8, 'stuck'), (16, 'rate'), (32, 'stale'),
                 (64, 'reset'), (128, 'gap')) AS known (bit, word)
    WHERE flags & bit <> 0
$$;

-- The newest result of each datastream that is not said to be of the future; written with the results.
CREATE TABLE latest (
    datastream      integer PRIMARY KEY,
    phenomenon_time timestamptz NOT NULL,
    result          double precision NOT NULL,
    flags           smallint NOT NULL,
    received_at     timestamptz NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- Fill it from the results; needed where these were not written by ingest (a restored backup, a bulk load).
CREATE FUNCTION fill_latest() RETURNS void LANGUAGE sql AS $$
    INSERT INTO latest
        SELECT d.id, o.phenomenon_time, o.result, o.flags, o.received_at FROM datastream d
        CROSS JOIN LATERAL (SELECT * FROM observation WHERE datastream = d.id AND flags & 2 = 0
                            ORDER BY phenomenon_time DESC LIMIT 1) o
    ON CONFLICT (datastream) DO UPDATE SET phenomenon_time = excluded.phenomenon_time,
        result = excluded.result, flags = excluded.flags, received_at = excluded.received_at
$$;
SELECT fill_latest();
