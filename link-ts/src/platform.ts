import type { LoadModule } from "./core.js";
import type { SocketConstructor } from "./host.js";

/** What differs between the places where the client runs. */
export interface Platform {
  loadModule: LoadModule;
  /** The standard's, or one like it. */
  loadSocket: () => Promise<SocketConstructor>;
}

/** The one of the page, worker or runtime. */
export function globalSocket(): SocketConstructor | undefined {
  return globalThis.WebSocket as unknown as SocketConstructor | undefined;
}

/** A module that was packed into text: `deflate-raw` in base64. */
export async function unpack(packed: string): Promise<WebAssembly.Module> {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  return WebAssembly.compile(await new Response(stream).arrayBuffer());
}

/** What browsers say about network and page, to whoever wants to know; returns a function that ends it. */
export function watchNetwork(
  tell: (hint: "online" | "offline" | "visible") => void,
): () => void {
  const target = globalThis as unknown as Partial<EventTarget>;
  if (!target.addEventListener) return () => {};
  const online = () => tell("online");
  const offline = () => tell("offline");
  const visible = () => {
    if (document.visibilityState === "visible") tell("visible");
  };
  target.addEventListener("online", online);
  target.addEventListener("offline", offline);
  const page = typeof document === "undefined" ? undefined : document;
  page?.addEventListener("visibilitychange", visible);
  return () => {
    target.removeEventListener?.("online", online);
    target.removeEventListener?.("offline", offline);
    page?.removeEventListener("visibilitychange", visible);
  };
}
