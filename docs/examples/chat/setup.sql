-- What the chat needs. Run it once, as root: kalam -u root -f setup.sql
CREATE NAMESPACE IF NOT EXISTS chat_app;

CREATE TABLE IF NOT EXISTS chat_app.rooms (
  name TEXT PRIMARY KEY,
  topic TEXT NOT NULL
) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC');

CREATE TABLE IF NOT EXISTS chat_app.messages (
  id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
  room TEXT NOT NULL,
  author TEXT NOT NULL DEFAULT CURRENT_USER(),
  body TEXT NOT NULL,
  sent_at TIMESTAMP NOT NULL DEFAULT NOW()
) WITH (TYPE='SHARED', ACCESS_LEVEL='PUBLIC', WRITE_LEVEL='PUBLIC');

-- Who types is known for four seconds, and then forgotten.
CREATE TABLE IF NOT EXISTS chat_app.typing (
  author TEXT PRIMARY KEY,
  room TEXT NOT NULL
) WITH (TYPE='STREAM', TTL_SECONDS=4, ACCESS_LEVEL='PUBLIC');

INSERT INTO chat_app.rooms (name, topic) VALUES
  ('general', 'Whatever comes up'),
  ('travel', 'Mountains or the sea?'),
  ('music', 'What is playing')
ON CONFLICT (name) DO NOTHING;

CREATE USER 'alice' WITH PASSWORD 'Wonderland-1865' ROLE 'user';
CREATE USER 'bob' WITH PASSWORD 'Builder-1999' ROLE 'user';
