// The peer called `stack` of `kalam bench`: a chat backend of Node, PostgreSQL and ws, as people build it.
// Prepared statements, pools, TCP_NODELAY; rows reach subscribers by LISTEN and NOTIFY.
//
//   npm install pg ws
//   kalam bench stack-script > stack.mjs
//   DATABASE_URL=postgres://postgres@127.0.0.1/postgres PORT=3000 node stack.mjs
//
// Everything is kept in a schema of its own, `kalam_bench_stack`, which each start empties.
import { createServer } from "node:http";
import pg from "pg";
import { WebSocketServer } from "ws";

const connectionString =
  process.env.DATABASE_URL ?? "postgres://postgres@127.0.0.1/postgres";
const port = Number(process.env.PORT ?? 3000);
const connections = Number(process.env.POOL ?? 32);
const schema = "kalam_bench_stack";
const columns =
  "id BIGINT PRIMARY KEY, conversation_id BIGINT, author TEXT, body TEXT, created_at TIMESTAMPTZ DEFAULT now()";

const pool = (commit) =>
  new pg.Pool({
    connectionString,
    max: connections,
    options: `-c search_path=${schema} -c synchronous_commit=${commit}`,
  });
const relaxed = pool("off");
const durable = pool("on");

const admin = new pg.Client({ connectionString });
await admin.connect();
await admin.query(
  `DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema};
   CREATE TABLE ${schema}.messages (${columns});
   CREATE TABLE ${schema}.big (${columns});
   CREATE TABLE ${schema}.feed (${columns});`,
);

const insert = (table) => ({
  name: `insert-${table}`,
  text: `INSERT INTO ${table} (id, conversation_id, author, body) VALUES ($1, $2, $3, $4)`,
});
const statements = {
  messages: insert("messages"),
  big: insert("big"),
  feed: {
    name: "feed",
    text: `WITH row AS (INSERT INTO feed (id, conversation_id, author, body) VALUES ($1, $2, $3, $4) RETURNING *)
           SELECT pg_notify('feed', row_to_json(row)::text) FROM row`,
  },
  get: { name: "get", text: "SELECT * FROM big WHERE id = $1" },
  update: { name: "update", text: "UPDATE big SET body = $2 WHERE id = $1" },
  range: {
    name: "range",
    text: "UPDATE big SET author = $3 WHERE id >= $1 AND id < $2",
  },
  remove: { name: "remove", text: "DELETE FROM big WHERE id = $1" },
};

const run = (db, statement, values) => db.query({ ...statement, values });
const rowOf = ({ id, conversation_id, author, body }) => [
  id,
  conversation_id,
  author,
  body,
];

async function fill({ rows, body }) {
  await relaxed.query("TRUNCATE big, messages, feed");
  await relaxed.query(
    `INSERT INTO big (id, conversation_id, author, body)
     SELECT n, n % 100, 'author-' || n % 50, $2 FROM generate_series(0, $1::bigint - 1) n`,
    [rows, body],
  );
  await relaxed.query("VACUUM ANALYZE big");
  const { rows: found } = await admin.query("SELECT pg_backend_pid() AS pid");
  return { node: process.pid, backend: found[0].pid };
}

const subscribers = new Set();

// What a request asks for. The last part of a path may be an id.
async function answer(method, url, body) {
  const [, table, id] = url.pathname.split("/");
  switch (`${method} ${table}`) {
    case "GET health":
      return {};
    case "POST fill":
      return fill(body);
    case "POST messages": {
      const db =
        url.searchParams.get("durability") === "sync" ? durable : relaxed;
      await run(db, statements.messages, rowOf(body));
      return { inserted: 1 };
    }
    case "POST feed":
      await run(relaxed, statements.feed, rowOf(body));
      return { inserted: 1 };
    case "POST big":
      await run(relaxed, statements.big, rowOf(body));
      return { inserted: 1 };
    case "GET big": {
      const { rows } = await run(relaxed, statements.get, [id]);
      return rows[0];
    }
    case "PATCH big": {
      const { searchParams } = url;
      const { rowCount } = id
        ? await run(relaxed, statements.update, [id, body.body])
        : await run(relaxed, statements.range, [
            searchParams.get("from"),
            searchParams.get("to"),
            body.author,
          ]);
      return { updated: rowCount };
    }
    case "DELETE big": {
      const { rowCount } = await run(relaxed, statements.remove, [id]);
      return { deleted: rowCount };
    }
    default:
      return undefined;
  }
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const bytes = Buffer.concat(parts);
  return bytes.length ? JSON.parse(bytes) : undefined;
}

const server = createServer(async (request, response) => {
  const send = (status, value) => {
    const text = JSON.stringify(value);
    response.writeHead(status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    response.end(text);
  };
  try {
    const url = new URL(request.url, "http://localhost");
    const value = await answer(request.method, url, await bodyOf(request));
    if (value === undefined) send(404, { error: "not found" });
    else send(200, value);
  } catch (error) {
    send(500, { error: String(error) });
  }
});
server.on("connection", (socket) => socket.setNoDelay(true));

// A socket says what it reads, and gets each row of it from then on.
new WebSocketServer({ server, perMessageDeflate: false }).on(
  "connection",
  (socket) => {
    socket.send('{"type":"auth_success","user":"anybody"}');
    socket.on("message", () => {
      subscribers.add(socket);
      socket.send(
        '{"type":"subscription_ack","subscription_id":"feed","batch_control":{"batch_num":0,"has_more":false,"status":"ready"}}',
      );
    });
    socket.on("close", () => subscribers.delete(socket));
  },
);

const listener = new pg.Client({ connectionString });
await listener.connect();
await listener.query("LISTEN feed");
listener.on("notification", ({ payload }) => {
  const change = `{"type":"change","subscription_id":"feed","change_type":"insert","rows":[${payload}]}`;
  for (const socket of subscribers) socket.send(change);
});

server.listen(port, "127.0.0.1", () => {
  console.log(`stack: http://127.0.0.1:${port}`);
});
