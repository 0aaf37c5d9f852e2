-- From lead to case: owned by enforcement.

CREATE TABLE enforcement_case (
    id        uuid PRIMARY KEY,
    number    text NOT NULL UNIQUE,
    lead      uuid NOT NULL UNIQUE REFERENCES lead,
    region    text NOT NULL,
    mode      text NOT NULL,
    step      text NOT NULL,
    opened_at timestamptz NOT NULL
);

-- Every move of a case through its process.
CREATE TABLE case_move (
    enforcement_case uuid NOT NULL REFERENCES enforcement_case,
    step             text NOT NULL,
    at               timestamptz NOT NULL,
    reason           text NOT NULL,
    PRIMARY KEY (enforcement_case, at)
);

-- The last number given per year, county and mode: counted in the case's own transaction, so without gaps.
CREATE TABLE case_serial (
    year   smallint NOT NULL,
    region text NOT NULL,
    mode   text NOT NULL,
    last   integer NOT NULL,
    PRIMARY KEY (year, region, mode)
);
