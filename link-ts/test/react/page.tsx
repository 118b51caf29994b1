// A page that uses each hook; the tests press its buttons.
import type { KalamClient } from "kalam-link";
import {
  KalamProvider,
  useKalam,
  useLiveQuery,
  useQuery,
} from "kalam-link/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

interface Note {
  id: bigint;
  room: string;
  body: string;
}

function Live({ room }: { room: string }) {
  const { rows, status, error } = useLiveQuery<Note>(
    "SELECT * FROM hooks.notes WHERE room = $1 ORDER BY id",
    [room],
  );
  return (
    <p id="live" data-status={status}>
      {error?.code}
      {rows.map(({ body }) => body).join(",")}
    </p>
  );
}

function Once() {
  const { rows, isLoading, error, refetch } = useQuery<Note>(
    "SELECT * FROM hooks.notes ORDER BY id",
  );
  return (
    <p id="once" data-loading={isLoading}>
      {error?.code}
      {rows.length}
      <button id="refetch" type="button" onClick={refetch}>
        again
      </button>
    </p>
  );
}

function Failing() {
  const live = useLiveQuery("SELECT * FROM hooks.nothing");
  const once = useQuery("SELECT * FROM hooks.nothing");
  return (
    <p id="failing">
      {live.status} {live.error?.code} {once.error?.code}
    </p>
  );
}

function Page() {
  const client = useKalam();
  const [room, setRoom] = useState("lobby");
  const [isThere, setIsThere] = useState(true);
  return (
    <>
      {isThere && <Live room={room} />}
      <Once />
      <Failing />
      <button id="room" type="button" onClick={() => setRoom("attic")}>
        attic
      </button>
      <button id="leave" type="button" onClick={() => setIsThere(false)}>
        leave
      </button>
      <button
        id="add"
        type="button"
        onClick={() =>
          client.insert("hooks.notes", { id: 10n, room, body: "added" })
        }
      >
        add
      </button>
    </>
  );
}

export function show(client: KalamClient, place: HTMLElement) {
  createRoot(place).render(
    <StrictMode>
      <KalamProvider client={client}>
        <Page />
      </KalamProvider>
    </StrictMode>,
  );
}
