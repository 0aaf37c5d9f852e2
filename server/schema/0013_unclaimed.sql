-- Devices that nobody has registered, and regions that were imported.

-- Who is named in a payload without being registered, and what of it was read (ingest writes it):
-- {device: {kind, datastreams: [{name, unit, result}], lon, lat}}; null when all are registered.
ALTER TABLE rejected ADD COLUMN unregistered jsonb;
UPDATE rejected SET unregistered = jsonb_build_object(device, '{}'::jsonb)
    WHERE replayed_at IS NULL AND device <> '' AND NOT EXISTS (SELECT FROM thing WHERE code = device);
CREATE INDEX rejected_unregistered ON rejected USING gin (unregistered) WHERE unregistered IS NOT NULL;

-- Imported regions are not brought back to what the package of all China says; their boundary is a GeoJSON
-- geometry.
ALTER TABLE region ADD COLUMN imported boolean NOT NULL DEFAULT false, ADD COLUMN boundary jsonb;
