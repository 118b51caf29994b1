import { useLiveQuery } from "kalam-link/react";
import { useLayoutEffect, useRef } from "react";
import { Avatar } from "./avatar";
import type { Outbox } from "./outbox";
import type { Messages as Message } from "./schema";

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

export function Messages(props: {
  room: string;
  user: string;
  outbox: Outbox;
}) {
  const { rows, status, error } = useLiveQuery<Message>(
    "SELECT * FROM chat_app.messages WHERE room = $1 ORDER BY id DESC LIMIT 100",
    [props.room],
  );
  const unsent = props.outbox.unsent.filter(({ room }) => room === props.room);
  const list = useRef<HTMLOListElement>(null);
  const newest = rows[0]?.id;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is new is at the end.
  useLayoutEffect(() => {
    list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [newest, unsent.length]);

  if (error) return <p role="alert">{error.message}</p>;
  const isEmpty = status === "live" && rows.length + unsent.length === 0;
  return (
    <ol className="messages" ref={list} aria-busy={status === "loading"}>
      {isEmpty && <li className="hint">Nobody has said anything here yet.</li>}
      {rows.toReversed().map((message, index, all) => (
        <Line
          key={String(message.id)}
          message={message}
          isOwn={message.author === props.user}
          isFirst={all[index - 1]?.author !== message.author}
        />
      ))}
      {unsent.map(({ id, body, failure }) => (
        <li key={id} className="message own unsent">
          <div className="bubble">
            {body}
            <small>{failure ?? "sending"}</small>
          </div>
        </li>
      ))}
    </ol>
  );
}

function Line(props: { message: Message; isOwn: boolean; isFirst: boolean }) {
  const { author, body, sent_at } = props.message;
  return (
    <li className={props.isOwn ? "message own" : "message"}>
      {!props.isOwn &&
        (props.isFirst ? (
          <Avatar name={author} />
        ) : (
          <span className="avatar none" />
        ))}
      <div className="bubble">
        {props.isFirst && !props.isOwn && <strong>{author}</strong>}
        {body}
        <small>{TIME.format(sent_at)}</small>
      </div>
    </li>
  );
}
