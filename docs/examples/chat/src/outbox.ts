import { KalamError } from "kalam-link";
import { useKalam } from "kalam-link/react";
import { useCallback, useEffect, useRef, useState } from "react";

/** A message that the server has not confirmed. */
export interface Unsent {
  /** Sent along: a write that is repeated with the same id happens once. */
  id: string;
  room: string;
  body: string;
  failure: string | undefined;
}

export interface Outbox {
  unsent: readonly Unsent[];
  send: (room: string, body: string) => void;
}

/** Messages on their way. They wait while there is no server, and go out when it is back. */
export function useOutbox(): Outbox {
  const client = useKalam();
  const [unsent, setUnsent] = useState<readonly Unsent[]>([]);
  const waiting = useRef<Unsent[]>([]);

  const deliver = useCallback(
    async (message: Unsent) => {
      const { id, room, body } = message;
      try {
        await client.insert(
          "chat_app.messages",
          { room, body },
          { requestId: id },
        );
        setUnsent((all) => all.filter((other) => other.id !== id));
      } catch (error) {
        if (error instanceof KalamError && error.retryable) {
          waiting.current.push(message);
          return;
        }
        const failure = String(error);
        setUnsent((all) =>
          all.map((other) => (other.id === id ? { ...other, failure } : other)),
        );
      }
    },
    [client],
  );

  useEffect(
    () =>
      client.onConnect(() => {
        for (const message of waiting.current.splice(0)) void deliver(message);
      }),
    [client, deliver],
  );

  const send = useCallback(
    (room: string, body: string) => {
      const id = crypto.randomUUID();
      const message = { id, room, body, failure: undefined };
      setUnsent((all) => [...all, message]);
      void deliver(message);
    },
    [deliver],
  );
  return { unsent, send };
}
