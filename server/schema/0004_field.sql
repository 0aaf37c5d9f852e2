-- What comes in besides observations: owned by ingest.

-- A different result for a key that is known already: kept, and the first one stays in `observation`.
CREATE TABLE observation_revision (
    datastream      integer NOT NULL,
    phenomenon_time timestamptz NOT NULL,
    result          double precision NOT NULL,
    received_at     timestamptz NOT NULL,
    PRIMARY KEY (datastream, phenomenon_time, result)
);

-- Payloads that could not be read or used, whole; the same bytes on the same topic stand here once.
CREATE TABLE rejected (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    payload     bytea NOT NULL,
    sha256      bytea NOT NULL,
    reason      text NOT NULL,
    device      text NOT NULL DEFAULT '',     -- who seems to have sent it, where that can be told
    times       integer NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    replayed_at timestamptz
);
-- a topic may be longer than what fits into an index
CREATE UNIQUE INDEX rejected_once ON rejected (md5(topic), sha256);

CREATE TABLE track_point (
    device      text NOT NULL,
    at          timestamptz NOT NULL,
    lon         double precision NOT NULL,
    lat         double precision NOT NULL,
    altitude_m  real,
    accuracy_m  real,
    speed_m_s   real,
    course_deg  real,
    region      text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (device, at, lon, lat)        -- several fixes of one second are real (OwnTracks)
);

CREATE TABLE patrol (
    id         uuid PRIMARY KEY,
    device     text NOT NULL,
    inspector  text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    region     text NOT NULL
);

CREATE TABLE lead (
    id          uuid PRIMARY KEY,
    device      text NOT NULL,
    kind        text NOT NULL,
    lon         double precision NOT NULL,
    lat         double precision NOT NULL,
    seen_at     timestamptz NOT NULL,
    note        text NOT NULL,
    region      text NOT NULL,
    mode        text NOT NULL,
    received_at timestamptz NOT NULL
);

CREATE TABLE evidence (
    id          uuid PRIMARY KEY,
    lead        uuid NOT NULL REFERENCES lead,
    sha256      text NOT NULL,
    media_type  text NOT NULL,
    size        bigint NOT NULL,
    captured_at timestamptz NOT NULL,
    lon         double precision,
    lat         double precision
);

-- What a phone answered to an order or an alert; every answer has an id of its own.
CREATE TABLE answer (
    id          uuid PRIMARY KEY,
    device      text NOT NULL,
    subject     text NOT NULL,                -- the dispatch or the alert
    state       text NOT NULL,
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);
