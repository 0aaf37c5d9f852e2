-- Files of stations, kept whole: pictures, raw GNSS observations, replies in bytes. Owned by ingest.

CREATE TABLE station_file (
    id          uuid PRIMARY KEY,             -- version 7: in the order of receipt
    thing       integer NOT NULL REFERENCES thing,
    name        text NOT NULL,                -- what the station calls its source
    sha256      text NOT NULL GENERATED ALWAYS AS (encode(sha256(data), 'hex')) STORED,
    media_type  text NOT NULL,
    size        integer NOT NULL GENERATED ALWAYS AS (octet_length(data)) STORED,
    at          timestamptz NOT NULL,         -- of receipt where the station tells no time
    description text NOT NULL,
    data        bytea NOT NULL,
    received_at timestamptz NOT NULL,
    UNIQUE (thing, name, sha256)
);
