import { KalamError } from "./errors.js";
import type { Http } from "./http.js";

/**
 * Who the client is; made by {@link Auth}.
 *
 * @example
 * ```ts
 * const auth: AuthKind = Auth.basic("alice", "Secret123!");
 * createClient({ url: "http://localhost:8080", auth });
 * ```
 */
export type AuthKind =
  | { kind: "none" }
  | { kind: "basic"; user: string; password: string }
  | { kind: "jwt"; token: string };

/**
 * A function that is asked on every dial, and before the token in use ends.
 *
 * @example
 * ```ts
 * const auth: AuthProvider = async () => {
 *   const answer = await fetch("/token");
 *   return Auth.jwt(await answer.text());
 * };
 * createClient({ url: "http://localhost:8080", auth });
 * ```
 */
export type AuthProvider = () => AuthKind | Promise<AuthKind>;

/**
 * Credentials for {@link createClient}.
 *
 * @example
 * ```ts
 * createClient({ url, auth: Auth.basic("alice", "Secret123!") });
 * createClient({ url, auth: async () => Auth.jwt(await freshToken()) });
 * ```
 */
export const Auth = {
  /** Signs in once with a password and then uses tokens, which it renews. */
  basic: (user: string, password: string): AuthKind => ({
    kind: "basic",
    user,
    password,
  }),
  /** A token that somebody else obtained. When it ends, so does the connection. */
  jwt: (token: string): AuthKind => ({ kind: "jwt", token }),
  /** Nobody: enough for what a server offers without a token. */
  none: (): AuthKind => ({ kind: "none" }),
};

/** Why a token is wanted: see `ask` in the core. */
export type TokenReason = "use" | "dial" | "expiring" | "refused";

interface Tokens {
  access: string;
  refresh?: string;
}

/** The tokens in use, shared by HTTP and the socket. One sign-in or refresh runs at a time. */
export class TokenSource {
  readonly #http: Http;
  readonly #auth: AuthKind | AuthProvider;
  /** When a token should be renewed, in ms since 1970. */
  readonly #refreshAt: (token: string) => number | undefined;
  #tokens: Tokens | undefined;
  #running: Promise<string | undefined> | undefined;

  constructor(
    http: Http,
    auth: AuthKind | AuthProvider,
    refreshAt: (token: string) => number | undefined,
  ) {
    this.#http = http;
    this.#auth = auth;
    this.#refreshAt = refreshAt;
  }

  /** A token, or none for nobody. `not` is one that was refused. */
  async get(reason: TokenReason, not?: string): Promise<string | undefined> {
    const known = this.#tokens?.access;
    const wantsFresh =
      reason === "expiring" ||
      reason === "refused" ||
      (reason === "dial" && typeof this.#auth === "function");
    // Somebody may have fetched a fresh one since.
    const isUsable = known !== undefined && !this.#isDue(known);
    if (isUsable && (!wantsFresh || (not !== undefined && known !== not)))
      return known;
    this.#running ??= this.#fetch(reason).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Forgets the tokens, so that the next request signs in anew. */
  clear(): void {
    this.#tokens = undefined;
  }

  #isDue(token: string): boolean {
    const at = this.#refreshAt(token);
    return at !== undefined && at <= Date.now();
  }

  async #fetch(reason: TokenReason): Promise<string | undefined> {
    const isFixed = typeof this.#auth !== "function";
    const auth = isFixed ? this.#auth : await this.#provided();
    switch (auth.kind) {
      case "none":
        return undefined;
      case "jwt":
        if (isFixed && (reason === "expiring" || reason === "refused"))
          throw new KalamError({
            code: "TOKEN_EXPIRED",
            message: "the token has ended, and there is no other",
            hint: "give `auth` as a function that fetches fresh ones",
          });
        this.#tokens = { access: auth.token };
        return auth.token;
      case "basic":
        return this.#signIn(auth.user, auth.password, reason);
      default:
        auth satisfies never;
        throw new KalamError({
          code: "INVALID_INPUT",
          message: "`auth` is none of Auth.basic, Auth.jwt and Auth.none",
        });
    }
  }

  async #provided(): Promise<AuthKind> {
    if (typeof this.#auth !== "function") return this.#auth;
    try {
      return await this.#auth();
    } catch (cause) {
      throw new KalamError({
        code: "MISSING_AUTHORIZATION",
        message: `the function given as \`auth\` failed: ${String(cause)}`,
        retryable: true,
        cause,
      });
    }
  }

  async #signIn(
    user: string,
    password: string,
    reason: TokenReason,
  ): Promise<string> {
    const refresh = this.#tokens?.refresh;
    this.#tokens = undefined;
    if (refresh && reason !== "refused") {
      try {
        return this.#keep(await this.#http.refresh(refresh));
      } catch (error) {
        // The refresh token has ended too: the password is still good.
        if (!(error instanceof KalamError) || error.status !== 401) throw error;
      }
    }
    return this.#keep(await this.#http.login(user, password));
  }

  #keep(tokens: { access_token: string; refresh_token: string }): string {
    this.#tokens = {
      access: tokens.access_token,
      refresh: tokens.refresh_token,
    };
    return tokens.access_token;
  }
}
