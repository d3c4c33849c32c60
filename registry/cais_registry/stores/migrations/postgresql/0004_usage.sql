-- SPDX-License-Identifier: Apache-2.0
-- Bytes of all blobs, each once, and of all manifests of all repositories, until they are purged.
-- Triggers count them, so that no statement can forget to, not even one of an older program.

CREATE TABLE usage (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    bytes BIGINT NOT NULL
);
INSERT INTO usage (id, bytes) SELECT 1,
    (SELECT COALESCE(SUM(size), 0) FROM blob) + (SELECT COALESCE(SUM(size), 0) FROM manifest);
-- OLD is null for an insertion, NEW for a deletion
CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE usage SET bytes = bytes + COALESCE(NEW.size, 0) - COALESCE(OLD.size, 0); RETURN NULL; END $$;
CREATE TRIGGER blob_counted AFTER INSERT OR DELETE OR UPDATE OF size ON blob
    FOR EACH ROW EXECUTE FUNCTION count_usage();
CREATE TRIGGER manifest_counted AFTER INSERT OR DELETE OR UPDATE OF size ON manifest
    FOR EACH ROW EXECUTE FUNCTION count_usage();

-- An upload that says no digest may still be a blob that is there: the largest one bounds it.
CREATE INDEX blob_by_size ON blob (size);
