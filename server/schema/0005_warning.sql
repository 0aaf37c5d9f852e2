-- From observation to people and teams: owned by warning.

-- Why a result is not to be trusted; nothing is dropped. Models leave marked results out.
CREATE TABLE flag (
    datastream      integer NOT NULL,
    phenomenon_time timestamptz NOT NULL,
    reason          text NOT NULL CHECK (reason IN ('range', 'future')),
    noted_at        timestamptz NOT NULL,
    PRIMARY KEY (datastream, phenomenon_time, reason)
);

-- A model's answer for a site at a time, with its reasons; the time step is the last one that was assessed.
CREATE TABLE assessment (
    id           uuid PRIMARY KEY,
    site         integer NOT NULL REFERENCES hazard_site,
    region       text NOT NULL,
    at           timestamptz NOT NULL,        -- phenomenon time
    level        smallint NOT NULL CHECK (level BETWEEN 0 AND 4),   -- what the models say at this time
    rule         text NOT NULL,
    rule_version integer NOT NULL,
    models       jsonb NOT NULL,              -- {model: {ratio, level, values}}
    reason_zh    text NOT NULL,
    reason_en    text NOT NULL,
    assessed_at  timestamptz NOT NULL,
    UNIQUE (site, at, rule, rule_version)
);

-- Where each site stands now.
CREATE TABLE level (
    site       integer PRIMARY KEY REFERENCES hazard_site,
    region     text NOT NULL,
    level      smallint NOT NULL,
    since      timestamptz NOT NULL,          -- phenomenon time of the last change
    as_of      timestamptz NOT NULL,          -- newest phenomenon time assessed
    state      jsonb NOT NULL                 -- of the hysteresis, see warning/level.py
);

CREATE TABLE alert (
    id           uuid PRIMARY KEY,
    identifier   text NOT NULL UNIQUE,        -- CAP identifier
    site         integer NOT NULL REFERENCES hazard_site,
    region       text NOT NULL,
    mode         text NOT NULL,
    message_type text NOT NULL CHECK (message_type IN ('Alert', 'Update', 'Cancel')),
    level        smallint NOT NULL,
    at           timestamptz NOT NULL,        -- phenomenon time of the change of level that it tells
    sent         timestamptz NOT NULL,        -- whole seconds, as in the identifier
    expires      timestamptz NOT NULL,
    refers_to    uuid REFERENCES alert,       -- the alert that this one updates or cancels
    assessment   uuid REFERENCES assessment,
    headline_zh  text NOT NULL,
    headline_en  text NOT NULL,
    instruction_zh text NOT NULL,             -- what people should do
    instruction_en text NOT NULL,
    cap          text NOT NULL                -- the CAP 1.2 XML
);
CREATE INDEX ON alert (site, at);
CREATE INDEX ON alert (sent);

-- The last word on each site. Phenomenon time decides; within one, identifiers are in the order of issue.
CREATE VIEW newest_alert AS
    SELECT DISTINCT ON (site) * FROM alert
    ORDER BY site, at DESC, sent DESC, length(identifier) DESC, identifier DESC;

CREATE TABLE delivery (
    id         uuid PRIMARY KEY,
    alert      uuid NOT NULL REFERENCES alert,
    channel    text NOT NULL,
    address    text NOT NULL,
    region     text NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at    timestamptz,
    UNIQUE (alert, channel, address)
);

-- Proof that a person saw it.
CREATE TABLE receipt (
    delivery uuid NOT NULL REFERENCES delivery,
    state    text NOT NULL CHECK (state IN ('received', 'acting')),
    at       timestamptz NOT NULL,
    PRIMARY KEY (delivery, state)
);

CREATE TABLE incident (
    id         uuid PRIMARY KEY,
    site       integer NOT NULL REFERENCES hazard_site,
    alert      uuid REFERENCES alert,
    region     text NOT NULL,
    mode       text NOT NULL,
    opened_at  timestamptz NOT NULL,
    closed_at  timestamptz,
    note_zh    text NOT NULL DEFAULT '',      -- why it has no team; '' while one is proposed or on its way
    note_en    text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX incident_open ON incident (site) WHERE closed_at IS NULL;

CREATE TABLE dispatch (
    id         uuid PRIMARY KEY,
    incident   uuid NOT NULL REFERENCES incident,
    unit       integer NOT NULL REFERENCES unit,
    region     text NOT NULL,
    state      text NOT NULL,
    distance_m double precision NOT NULL,     -- great circle, when proposed
    reason_zh  text NOT NULL,                 -- why this team
    reason_en  text NOT NULL,
    ordered_at timestamptz,
    closed_at  timestamptz
);
-- A team has one open order or proposal at most: a proposal keeps it until it is confirmed or taken back.
CREATE UNIQUE INDEX dispatch_busy ON dispatch (unit) WHERE closed_at IS NULL;

-- Every state that a dispatch has been in.
CREATE TABLE dispatch_move (
    dispatch uuid NOT NULL REFERENCES dispatch,
    state    text NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (dispatch, state)
);
