-- The event log: one row for each consumer of an event; see domain/flow.py.

CREATE TABLE event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- commits do not follow ids; a reader of the feed goes by (xact, id) below the oldest running transaction
    xact         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind         text NOT NULL,
    consumer     text NOT NULL,
    partition    smallint NOT NULL,
    subject      text NOT NULL,
    region       text NOT NULL,
    body         jsonb NOT NULL,
    packed       bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    not_before   timestamptz NOT NULL DEFAULT now(),
    failures     smallint NOT NULL DEFAULT 0,
    last_failure text,
    set_aside_at timestamptz,
    done_at      timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

CREATE INDEX event_waiting ON event (consumer, id) WHERE done_at IS NULL AND set_aside_at IS NULL;
CREATE INDEX event_set_aside ON event (set_aside_at) WHERE set_aside_at IS NOT NULL;
CREATE INDEX event_live ON event (xact, id) WHERE consumer = 'live';
CREATE INDEX event_old ON event (done_at) WHERE done_at IS NOT NULL;

-- The backlog: what is due now or failed and will be tried again; what is planned for later is none.
CREATE VIEW waiting_event AS
    SELECT * FROM event
    WHERE done_at IS NULL AND set_aside_at IS NULL AND (not_before <= now() OR failures > 0);

-- The newest row of the feed that housekeeping has deleted: a reader who stands before it has missed something.
CREATE TABLE feed_floor (xact xid8 NOT NULL, id bigint NOT NULL);
INSERT INTO feed_floor VALUES ('0', 0);
