import type { KalamClient } from "kalam-link";
import { KalamProvider } from "kalam-link/react";
import { useState } from "react";
import { Chat } from "./chat";
import { SignIn } from "./sign-in";

interface SignedIn {
  client: KalamClient;
  user: string;
}

export function App() {
  const [signedIn, setSignedIn] = useState<SignedIn>();
  if (!signedIn)
    return <SignIn onDone={(client, user) => setSignedIn({ client, user })} />;
  const leave = () => {
    void signedIn.client.disconnect();
    setSignedIn(undefined);
  };
  return (
    <KalamProvider client={signedIn.client}>
      <Chat user={signedIn.user} onLeave={leave} />
    </KalamProvider>
  );
}
