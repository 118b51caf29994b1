#!/usr/bin/env bash
# Collaborative documents: one shared table that everybody reads, and who is present right now.
# KALAMDB_ROOT_PASSWORD must be set. Prints the answer of each statement on one line.
set -euo pipefail
. "$(dirname "$0")/client.sh"

login root "$KALAMDB_ROOT_PASSWORD"
sql "CREATE NAMESPACE docs"
sql "CREATE TABLE docs.content (
       id BIGINT PRIMARY KEY,
       version INT NOT NULL DEFAULT 1,
       body TEXT,
       author TEXT DEFAULT CURRENT_USER(),
       updated_at TIMESTAMP DEFAULT NOW()
     ) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC', WRITE_LEVEL='PUBLIC')"
sql "CREATE TABLE docs.presence (
       user_id TEXT PRIMARY KEY DEFAULT CURRENT_USER(),
       document_id BIGINT NOT NULL,
       cursor INT
     ) WITH (TYPE='STREAM', ACCESS_LEVEL='PUBLIC', TTL_SECONDS=5)"
sql "CREATE USER 'carol' WITH PASSWORD 'Sketchbook-77' ROLE 'user'"
sql "CREATE USER 'dave' WITH PASSWORD 'Paintbrush-88' ROLE 'user'"

login carol Sketchbook-77
sql "INSERT INTO docs.content (id, body) VALUES (1, 'Once upon a time')"
sql "INSERT INTO docs.presence (document_id, cursor) VALUES (1, 16)"

login dave Paintbrush-88
sql "SELECT id, version, body, author FROM docs.content"
sql "UPDATE docs.content SET body = 'Once upon a midnight', version = version + 1, author = CURRENT_USER()
       WHERE id = 1 AND version = 1 RETURNING version, author"
sql "UPDATE docs.content SET body = 'lost', version = version + 1 WHERE id = 1 AND version = 1"
sql "SELECT user_id, document_id, cursor FROM docs.presence WHERE document_id = 1"
