-- SPDX-License-Identifier: Apache-2.0
-- Compatible from: 6
-- Who has made which schema, and which one a program has to know at least to run on it: read by
-- programs that do not know that migration.

ALTER TABLE schema_version ADD COLUMN compatible_from BIGINT NOT NULL DEFAULT 0;
ALTER TABLE schema_version ADD COLUMN program TEXT NOT NULL DEFAULT '';
UPDATE schema_version SET compatible_from = version;
