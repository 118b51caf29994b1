import { useLiveQuery } from "kalam-link/react";
import { useState } from "react";
import { Avatar } from "./avatar";
import { Composer } from "./composer";
import { Messages } from "./messages";
import { useOutbox } from "./outbox";
import type { Rooms } from "./schema";
import { Typing } from "./typing";

const STATUS = {
  loading: "Loading",
  live: "Live",
  catching_up: "Catching up",
  offline: "Offline, reconnecting",
  failed: "Stopped",
};

export function Chat(props: { user: string; onLeave: () => void }) {
  const [name, setName] = useState("general");
  const { rows: rooms, status } = useLiveQuery<Rooms>(
    "SELECT * FROM chat_app.rooms ORDER BY name",
  );
  const outbox = useOutbox();
  const room = rooms.find((other) => other.name === name);
  return (
    <div className="chat">
      <nav>
        <h1>Chat</h1>
        <ul>
          {rooms.map((other) => (
            <li key={other.name}>
              <button
                type="button"
                aria-current={other.name === name}
                onClick={() => setName(other.name)}
              >
                # {other.name}
              </button>
            </li>
          ))}
        </ul>
        <footer>
          <Avatar name={props.user} />
          <strong>{props.user}</strong>
          <button type="button" onClick={props.onLeave}>
            Leave
          </button>
        </footer>
      </nav>
      <main>
        <header>
          <div>
            <h2># {name}</h2>
            <p>{room?.topic}</p>
          </div>
          <output className="status" data-status={status}>
            {STATUS[status]}
          </output>
        </header>
        <Messages room={name} user={props.user} outbox={outbox} />
        <Typing room={name} user={props.user} />
        <Composer room={name} user={props.user} send={outbox.send} />
      </main>
    </div>
  );
}
