#!/usr/bin/env bash
# A chat: every user has private conversations and messages, and typing events that vanish.
# KALAMDB_ROOT_PASSWORD must be set. Prints the answer of each statement on one line.
set -euo pipefail
. "$(dirname "$0")/client.sh"

login root "$KALAMDB_ROOT_PASSWORD"
sql "CREATE NAMESPACE chat"
sql "CREATE TABLE chat.conversations (
       id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
       title TEXT NOT NULL,
       created_at TIMESTAMP DEFAULT NOW()
     ) WITH (TYPE='USER', FLUSH_POLICY='rows:1000')"
sql "CREATE TABLE chat.messages (
       id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
       conversation_id BIGINT NOT NULL,
       role TEXT NOT NULL,
       content TEXT NOT NULL,
       created_at TIMESTAMP DEFAULT NOW()
     ) WITH (TYPE='USER', FLUSH_POLICY='rows:1000')"
sql "CREATE TABLE chat.typing_events (
       id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
       conversation_id BIGINT NOT NULL,
       user_id TEXT NOT NULL,
       event_type TEXT NOT NULL,
       created_at TIMESTAMP DEFAULT NOW()
     ) WITH (TYPE='STREAM', TTL_SECONDS=${TYPING_TTL_SECONDS:-30})"
sql "CREATE USER 'alice' WITH PASSWORD 'Wonderland-1865' ROLE 'user'"
sql "CREATE USER 'bob' WITH PASSWORD 'Builder-1999' ROLE 'user'"

login alice Wonderland-1865
sql "INSERT INTO chat.conversations (id, title) VALUES (1, 'Travel plans')"
sql "INSERT INTO chat.messages (conversation_id, role, content) VALUES (1, 'user', 'Where shall we go?')"
sql "INSERT INTO chat.messages (conversation_id, role, content) VALUES (1, 'assistant', 'To the sea \u2600\ufe0f')"
sql "INSERT INTO chat.messages (id, conversation_id, role, content, created_at)
       VALUES (\$1, \$2, \$3, \$4, \$5)" '["7", 1, "user", "When?", "2030-06-01T08:00:00"]'
sql "SELECT id, role, content FROM chat.messages WHERE conversation_id = 1 ORDER BY created_at DESC LIMIT 50"
sql "INSERT INTO chat.typing_events (conversation_id, user_id, event_type) VALUES (1, 'alice', 'typing')"
sql "SELECT user_id, event_type FROM chat.typing_events WHERE conversation_id = 1"

login bob Builder-1999
sql "SELECT id, role, content FROM chat.messages"
