import { Auth, createClient, type KalamClient, KalamError } from "kalam-link";
import { type FormEvent, useState } from "react";

const SERVER =
  new URLSearchParams(location.search).get("server") ?? "http://localhost:8080";

export function SignIn(props: {
  onDone: (client: KalamClient, user: string) => void;
}) {
  const [failure, setFailure] = useState<string>();
  const [isBusy, setIsBusy] = useState(false);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const user = String(form.get("user"));
    const client = createClient({
      url: String(form.get("server")),
      auth: Auth.basic(user, String(form.get("password"))),
    });
    setIsBusy(true);
    try {
      await client.connect();
      props.onDone(client, user);
    } catch (error) {
      await client.disconnect();
      setFailure(error instanceof KalamError ? error.message : String(error));
      setIsBusy(false);
    }
  };

  return (
    <form className="sign-in" onSubmit={submit}>
      <h1>Chat</h1>
      <p>Open this page in two windows, as alice and as bob.</p>
      <label>
        Server
        <input name="server" type="url" defaultValue={SERVER} required />
      </label>
      <label>
        User
        <input name="user" autoComplete="username" required />
      </label>
      <label>
        Password
        <input
          name="password"
          type="password"
          autoComplete="current-password"
          required
        />
      </label>
      {failure && <p role="alert">{failure}</p>}
      <button type="submit" disabled={isBusy}>
        Sign in
      </button>
    </form>
  );
}
