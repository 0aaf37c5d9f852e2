-- What is registered: owned by the server. Codes are GB/T 2260; longitudes and latitudes are WGS-84 degrees.

CREATE TABLE region (
    code    text PRIMARY KEY CHECK (code ~ '^[0-9]{6}([0-9]{6})?$'),
    parent  text REFERENCES region,
    level   smallint NOT NULL CHECK (level BETWEEN 1 AND 4),   -- 1 province, 2 city, 3 county, 4 township
    name_zh text NOT NULL,
    name_en text NOT NULL,
    lon     double precision NOT NULL,
    lat     double precision NOT NULL
);

CREATE TABLE hazard_site (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code       text NOT NULL UNIQUE,
    region     text NOT NULL REFERENCES region,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    type       text NOT NULL CHECK (type IN ('landslide', 'debris_flow', 'rockfall', 'subsidence')),
    mode       text NOT NULL DEFAULT 'actual' CHECK (mode IN ('actual', 'exercise', 'test')),
    rule       text NOT NULL,
    lon        double precision NOT NULL CHECK (lon BETWEEN -180 AND 180),
    lat        double precision NOT NULL CHECK (lat BETWEEN -90 AND 90),
    polygon    jsonb NOT NULL,                -- [[lon, lat], ...]: closed ring of the threatened area
    threatened integer NOT NULL DEFAULT 0,    -- people
    contact    text NOT NULL DEFAULT ''
);
CREATE INDEX ON hazard_site (region text_pattern_ops);

-- A station or a phone: everything that may speak.
CREATE TABLE thing (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code      text NOT NULL UNIQUE,           -- the name it uses on the wire
    kind      text NOT NULL CHECK (kind IN ('station', 'phone')),
    name      text NOT NULL,
    site      integer REFERENCES hazard_site,
    region    text NOT NULL REFERENCES region,
    mode      text NOT NULL DEFAULT 'actual' CHECK (mode IN ('actual', 'exercise', 'test')),
    time_zone text NOT NULL DEFAULT 'UTC',    -- of the times it writes (some write Beijing time behind a Z)
    state     jsonb NOT NULL DEFAULT '{}'     -- last text results: {datastream: {result, at}}
);

CREATE TABLE datastream (
    id                integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing             integer NOT NULL REFERENCES thing,
    name              text NOT NULL,          -- a national one is <sensor>/<field>
    observed_property text NOT NULL DEFAULT '',   -- word that rules use: rainfall, displacement, ...; '' = none
    unit              text NOT NULL DEFAULT '',
    valid_min         double precision,       -- results outside are marked and no model uses them
    valid_max         double precision,
    UNIQUE (thing, name)
);

-- A rescue team; its phone is a thing.
CREATE TABLE unit (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code       text NOT NULL UNIQUE,
    name_zh    text NOT NULL,
    name_en    text NOT NULL,
    region     text NOT NULL REFERENCES region,
    device     text NOT NULL UNIQUE REFERENCES thing (code),
    lon        double precision NOT NULL,     -- where it stands when no fix is known
    lat        double precision NOT NULL,
    available  boolean NOT NULL DEFAULT true
);

-- Who is told: a phone hears the alerts of every region that begins with its prefix.
CREATE TABLE recipient (
    id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    text NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,                    -- for the channel mqtt: the phone's device name
    region  text NOT NULL,                    -- prefix of a code, '' for all
    UNIQUE (channel, address, region)
);
