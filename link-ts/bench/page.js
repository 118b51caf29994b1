// Measures in a page: what one frame costs the client and what it costs without it. Sockets here are objects that
// hand over frames, so that nothing but the client is measured.

import { Auth, createClient } from "/browser.js";

const ROWS = 1_000;
const BATCHES = 200;
const CHANGES = 20_000;
const TURNS = 7;

const seqOf = (n) => String(4_503_599_627_370_496 + n);
const rowOf = (n) => ({
  id: String(n),
  conversation_id: String(n % 20),
  author: `user ${n % 7}`,
  body: `message ${n}: the quick brown fox jumps over the lazy dog`,
  created_at: 1_767_225_600_000_000 + n,
  _seq: seqOf(n),
});
const FIELDS = [
  ["id", "BigInt", ["pk", "nn"]],
  ["conversation_id", "BigInt", ["nn"]],
  ["author", "Text", []],
  ["body", "Text", []],
  ["created_at", "Timestamp", []],
];
const schema = FIELDS.map(([name, data_type, flags], index) => ({
  name,
  data_type,
  index,
  flags,
}));

/** A socket whose frames come from the page. */
class PageSocket {
  static last;
  sent = [];

  constructor() {
    PageSocket.last = this;
    queueMicrotask(() => this.onopen?.({}));
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {}

  give(frame) {
    this.onmessage?.({ data: frame });
  }
}

async function connected() {
  PageSocket.last = undefined;
  const client = createClient({
    url: "http://page",
    auth: Auth.jwt("e30.e30.s"),
    WebSocket: PageSocket,
  });
  const opening = client.connect();
  while (!PageSocket.last?.sent.length)
    await new Promise((r) => setTimeout(r, 1));
  const socket = PageSocket.last;
  const protocol = {
    serialization: "json",
    compression: "none",
    features: ["resync", "auth_expiring", "pong", "seq"],
  };
  socket.give(
    JSON.stringify({
      type: "auth_success",
      user_id: "u",
      role: "user",
      protocol,
    }),
  );
  await opening;
  return { client, socket };
}

const named = (socket) =>
  socket.sent.filter(({ type }) => type === "subscribe").at(-1).subscription.id;

const ack = (id) =>
  JSON.stringify({
    type: "subscription_ack",
    subscription_id: id,
    total_rows: 0,
    batch_control: {
      batch_num: 0,
      has_more: true,
      status: "loading",
      last_seq_id: null,
    },
    schema,
  });

const batch = (id, rows, number, has_more) =>
  JSON.stringify({
    type: "initial_data_batch",
    subscription_id: id,
    rows,
    batch_control: {
      batch_num: number,
      has_more,
      status: has_more ? "loading_batch" : "ready",
      last_seq_id: Number(rows.at(-1)?._seq ?? seqOf(0)),
    },
  });

/** Milliseconds of the fastest and the middle turn. */
async function timed(turn) {
  const times = [];
  for (let n = 0; n < TURNS; n += 1) times.push(await turn());
  times.sort((a, b) => a - b);
  return times[TURNS >> 1];
}

/** µs of a batch of 1,000 rows: from the frame to objects in a callback. */
async function batches() {
  const frames = (id) =>
    Array.from({ length: BATCHES }, (_, number) => {
      const rows = Array.from({ length: ROWS }, (_, n) =>
        rowOf(number * ROWS + n),
      );
      return batch(id, rows, number + 1, true);
    });
  let seen = 0;
  const ours = await timed(async () => {
    const { client, socket } = await connected();
    await client.subscribe("chat.messages", (event) => {
      if (event.type === "initial_data_batch") seen += event.rows.length;
    });
    const id = named(socket);
    socket.give(ack(id));
    const given = frames(id);
    const begun = performance.now();
    for (const frame of given) socket.give(frame);
    const took = performance.now() - begun;
    await client.disconnect();
    return took;
  });
  if (seen !== TURNS * BATCHES * ROWS) throw new Error(`${seen} rows`);
  const given = frames("s1");
  const parse = await timed(() => {
    const begun = performance.now();
    let rows = 0;
    for (const frame of given) rows += JSON.parse(frame).rows.length;
    if (rows !== BATCHES * ROWS) throw new Error(`${rows}`);
    return performance.now() - begun;
  });
  return { ours: (ours * 1000) / BATCHES, parse: (parse * 1000) / BATCHES };
}

/** What one would write by hand: rows in key order, a new array for each change. */
class ByHand {
  rows = [];
  changes = 0;

  give(frame) {
    const message = JSON.parse(frame);
    for (const row of message.rows ?? []) this.put(row);
    for (const row of message.change_type === "delete"
      ? message.old_values
      : []) {
      const at = this.find(BigInt(row.id));
      if (this.rows[at]?.id === BigInt(row.id)) this.rows.splice(at, 1);
    }
    this.changes += 1;
  }

  put(cells) {
    const row = {
      ...cells,
      id: BigInt(cells.id),
      conversation_id: BigInt(cells.conversation_id),
      created_at: new Date(cells.created_at / 1000),
    };
    const at = this.find(row.id);
    if (this.rows[at]?.id === row.id) this.rows[at] = row;
    else this.rows.splice(at, 0, row);
  }

  /** Where the row is or belongs. */
  find(id) {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.rows[middle].id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** ms of 20,000 single changes of rows that both keep. */
async function changes() {
  const frames = (id) =>
    Array.from({ length: CHANGES }, (_, n) => {
      // Half are new rows, half change an old one.
      const key = n % 2 === 0 ? ROWS + n : (n * 7) % ROWS;
      const row = {
        ...rowOf(key),
        body: `changed ${n}`,
        _seq: seqOf(ROWS + n),
      };
      return JSON.stringify({
        type: "change",
        subscription_id: id,
        change_type: n % 2 === 0 ? "insert" : "update",
        rows: [row],
        ...(n % 2 === 1 && {
          old_values: [{ body: "before", id: row.id, _seq: seqOf(n) }],
        }),
        seq: Number(row._seq),
      });
    });
  const initial = Array.from({ length: ROWS }, (_, n) => rowOf(n));
  let length = 0;
  const ours = await timed(async () => {
    const { client, socket } = await connected();
    const live = client.live("SELECT * FROM chat.messages");
    const id = named(socket);
    socket.give(ack(id));
    socket.give(batch(id, initial, 1, false));
    await live.ready();
    const given = frames(id);
    let _told = 0;
    live.onRows(() => {
      _told += 1;
    });
    const begun = performance.now();
    for (const frame of given) socket.give(frame);
    await Promise.resolve();
    const took = performance.now() - begun;
    length = live.rows.length;
    live.close();
    await client.disconnect();
    return took;
  });
  const byHand = await timed(() => {
    const client = new ByHand();
    client.give(batch("s1", initial, 1, false));
    const given = frames("s1");
    const begun = performance.now();
    for (const frame of given) client.give(frame);
    const took = performance.now() - begun;
    if (client.rows.length !== length)
      throw new Error(`${client.rows.length} rows by hand, ${length} of ours`);
    return took;
  });
  return { ours, byHand };
}

globalThis.measure = async () => ({
  batches: await batches(),
  changes: await changes(),
});
