-- SPDX-License-Identifier: Apache-2.0
-- How far an upload to an object store is, so that any server can go on; empty for files.

ALTER TABLE upload ADD COLUMN state TEXT NOT NULL DEFAULT '';
