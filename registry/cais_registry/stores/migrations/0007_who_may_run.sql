-- SPDX-License-Identifier: Apache-2.0
-- Compatible from: 6
-- Who has made which schema, and which one a program has to know at least to run on it: read by
-- programs that do not know that migration.

CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    compatible_from INTEGER NOT NULL,
    program TEXT NOT NULL
);
