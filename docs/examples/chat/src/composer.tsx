import { useKalam } from "kalam-link/react";
import { type FormEvent, useRef, useState } from "react";

// Half the time to live of a row of `typing`.
const TELL_EVERY_MS = 2_000;

export function Composer(props: {
  room: string;
  user: string;
  send: (room: string, body: string) => void;
}) {
  const client = useKalam();
  const [body, setBody] = useState("");
  const toldAt = useRef(Number.NEGATIVE_INFINITY);

  const change = (text: string) => {
    setBody(text);
    const now = performance.now();
    if (text === "" || now - toldAt.current < TELL_EVERY_MS) return;
    toldAt.current = now;
    const row = { author: props.user, room: props.room };
    // It is no loss if nobody hears of it.
    client.insert("chat_app.typing", row).catch(() => {});
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = body.trim();
    if (text === "") return;
    props.send(props.room, text);
    setBody("");
    toldAt.current = Number.NEGATIVE_INFINITY;
    client.delete("chat_app.typing", { author: props.user }).catch(() => {});
  };

  return (
    <form className="composer" onSubmit={submit}>
      <input
        aria-label="Message"
        placeholder={`Message #${props.room}`}
        value={body}
        onChange={(event) => change(event.target.value)}
      />
      <button type="submit" disabled={body.trim() === ""}>
        Send
      </button>
    </form>
  );
}
