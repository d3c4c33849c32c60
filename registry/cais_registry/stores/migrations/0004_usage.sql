-- SPDX-License-Identifier: Apache-2.0
-- Bytes of all blobs, each once, and of all manifests of all repositories, until they are purged.
-- Triggers count them, so that no statement can forget to, not even one of an older program.

CREATE TABLE usage (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    bytes INTEGER NOT NULL
);
INSERT INTO usage (id, bytes) SELECT 1,
    (SELECT COALESCE(SUM(size), 0) FROM blob) + (SELECT COALESCE(SUM(size), 0) FROM manifest);
CREATE TRIGGER blob_added AFTER INSERT ON blob
    BEGIN UPDATE usage SET bytes = bytes + NEW.size; END;
CREATE TRIGGER blob_replaced AFTER UPDATE OF size ON blob
    BEGIN UPDATE usage SET bytes = bytes + NEW.size - OLD.size; END;
CREATE TRIGGER blob_purged AFTER DELETE ON blob
    BEGIN UPDATE usage SET bytes = bytes - OLD.size; END;
CREATE TRIGGER manifest_added AFTER INSERT ON manifest
    BEGIN UPDATE usage SET bytes = bytes + NEW.size; END;
CREATE TRIGGER manifest_replaced AFTER UPDATE OF size ON manifest
    BEGIN UPDATE usage SET bytes = bytes + NEW.size - OLD.size; END;
CREATE TRIGGER manifest_purged AFTER DELETE ON manifest
    BEGIN UPDATE usage SET bytes = bytes - OLD.size; END;

-- An upload that says no digest may still be a blob that is there: the largest one bounds it.
CREATE INDEX blob_by_size ON blob (size);
