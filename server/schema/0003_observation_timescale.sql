-- Observations with TimescaleDB: a hypertable, compressed when old.

CREATE TABLE observation (
    datastream      integer NOT NULL,
    phenomenon_time timestamptz NOT NULL,
    result          double precision NOT NULL,
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (datastream, phenomenon_time)
);
SELECT create_hypertable('observation', by_range('phenomenon_time', interval '1 month'));
ALTER TABLE observation SET (timescaledb.compress, timescaledb.compress_segmentby = 'datastream',
                             timescaledb.compress_orderby = 'phenomenon_time');
SELECT add_compression_policy('observation', interval '3 months');

-- The hypertable makes its own chunks.
CREATE FUNCTION ensure_observation_partition(at timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT false';
