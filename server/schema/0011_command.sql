-- Commands to stations: owned by warning.

-- Secret that a station checks in each command and sends back in its reply; no reader, route or log shows it.
ALTER TABLE thing ADD COLUMN apikey text NOT NULL DEFAULT '';

CREATE TABLE command (
    id          uuid PRIMARY KEY,             -- its text is the msgid on the wire
    thing       integer NOT NULL REFERENCES thing,
    region      text NOT NULL,
    name        text NOT NULL,                -- as on the wire, see domain/command_words.py
    params      jsonb NOT NULL,               -- {parameter: text}
    mode        text NOT NULL,                -- of the thing when it was asked; another one stops the command
    state       text NOT NULL CHECK
                (state IN ('pending', 'sent', 'succeeded', 'failed', 'timed_out', 'cancelled')),
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL,
    sent_at     timestamptz,                  -- for the first time
    answered_at timestamptz,
    tries       smallint NOT NULL DEFAULT 0,
    reply       text,                         -- without the apikey
    reason      text NOT NULL DEFAULT ''      -- why it failed, timed out or was cancelled
);
CREATE INDEX ON command (thing, id);
CREATE INDEX ON command (asked_at) WHERE state IN ('pending', 'sent');

-- ingest asks whether a reply was told already
CREATE INDEX event_replied ON event (subject) WHERE kind = 'replied';
