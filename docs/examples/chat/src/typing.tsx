import { useLiveQuery } from "kalam-link/react";
import type { Typing as Typist } from "./schema";

/** Who types in the room. Rows of the STREAM table vanish by themselves when their time is over. */
export function Typing({ room, user }: { room: string; user: string }) {
  const { rows } = useLiveQuery<Typist>(
    "SELECT * FROM chat_app.typing WHERE room = $1",
    [room],
  );
  const names = rows.map(({ author }) => author).filter((one) => one !== user);
  return (
    <p className="typing" aria-live="polite">
      {names.length > 0 && (
        <>
          <span className="dots" aria-hidden>
            <i />
            <i />
            <i />
          </span>
          {names.join(", ")} {names.length > 1 ? "are" : "is"} typing
        </>
      )}
    </p>
  );
}
