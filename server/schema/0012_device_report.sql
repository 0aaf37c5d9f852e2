-- What devices say besides values and fixes, and what else they say with a fix: owned by ingest.

-- zones entered, alarms, states, cards, events of a LoRaWAN network: the JSON object as it came
CREATE TABLE device_report (
    id          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    device      text NOT NULL,
    kind        text NOT NULL,                -- its name in the sender's protocol: transition, alarm, join, ...
    about       text NOT NULL,                -- tells two of one kind and time apart, in a few words
    at          timestamptz NOT NULL,         -- of receipt where the sender gives none
    lon         double precision,
    lat         double precision,
    body        jsonb NOT NULL,
    region      text NOT NULL,
    mode        text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (device, kind, about, at)
);

-- battery (%), mock, untimed, and the rest in the sender's words
ALTER TABLE track_point ADD COLUMN extra jsonb;
