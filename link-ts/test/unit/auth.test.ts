import { expect, test } from "vitest";
import {
  Auth,
  type AuthKind,
  type AuthProvider,
  TokenSource,
} from "../../src/auth.js";
import { Http } from "../../src/http.js";

interface Call {
  path: string;
  authorization: string | undefined;
}

/** A server that gives numbered tokens; those in `ended` are to be renewed. */
function source(
  auth: AuthKind | AuthProvider,
  refuse: (call: Call) => number = () => 200,
) {
  const calls: Call[] = [];
  const ended = new Set<string>();
  const fetch = async (url: unknown, init?: RequestInit) => {
    const headers = init?.headers as Record<string, string>;
    const call = {
      path: new URL(String(url)).pathname,
      authorization: headers.authorization,
    };
    calls.push(call);
    const status = refuse(call);
    const body =
      status === 200
        ? {
            access_token: `a${calls.length}`,
            refresh_token: `r${calls.length}`,
          }
        : { error: "unauthorized", message: "no" };
    return new Response(JSON.stringify(body), { status });
  };
  const http = new Http(["http://server"], fetch as typeof globalThis.fetch);
  const tokens = new TokenSource(http, auth, (token) =>
    ended.has(token) ? 0 : undefined,
  );
  return { tokens, calls, ended };
}

test("a password signs in once, also for calls at the same time", async () => {
  const { tokens, calls } = source(Auth.basic("alice", "x"));
  expect(
    await Promise.all([
      tokens.get("use"),
      tokens.get("use"),
      tokens.get("dial"),
    ]),
  ).toEqual(["a1", "a1", "a1"]);
  expect(await tokens.get("use")).toBe("a1");
  expect(calls.map(({ path }) => path)).toEqual(["/v1/api/auth/login"]);
});

test("a token that is about to end is refreshed, and the password counts when that fails", async () => {
  const { tokens, calls, ended } = source(
    Auth.basic("alice", "x"),
    ({ authorization }) => (authorization === "Bearer r2" ? 401 : 200),
  );
  await tokens.get("use");
  ended.add("a1");
  expect(await tokens.get("use")).toBe("a2");
  expect(calls[1]).toEqual({
    path: "/v1/api/auth/refresh",
    authorization: "Bearer r1",
  });
  expect(await tokens.get("expiring", "a2")).toBe("a4");
  expect(calls.slice(2).map(({ path }) => path)).toEqual([
    "/v1/api/auth/refresh",
    "/v1/api/auth/login",
  ]);
});

test("a token that was refused is not used again, unless there is a newer one", async () => {
  const { tokens, calls } = source(Auth.basic("alice", "x"));
  await tokens.get("use");
  expect(await tokens.get("refused", "a1")).toBe("a2");
  expect(await tokens.get("refused", "a1")).toBe("a2");
  expect(calls.map(({ path }) => path)).toEqual([
    "/v1/api/auth/login",
    "/v1/api/auth/login",
  ]);
});

test("a function is asked on every dial, and before its token ends", async () => {
  let asked = 0;
  const { tokens, ended } = source(async () => {
    asked += 1;
    return Auth.jwt(`t${asked}`);
  });
  expect(await tokens.get("dial")).toBe("t1");
  expect(await tokens.get("use")).toBe("t1");
  expect(await tokens.get("dial")).toBe("t2");
  ended.add("t2");
  expect(await tokens.get("use")).toBe("t3");
});

test("a token given once cannot be renewed", async () => {
  const { tokens } = source(Auth.jwt("t"));
  expect(await tokens.get("use")).toBe("t");
  await expect(tokens.get("expiring", "t")).rejects.toMatchObject({
    code: "TOKEN_EXPIRED",
    retryable: false,
  });
  expect(await source(Auth.none()).tokens.get("use")).toBeUndefined();
});

test("a function that fails is worth another try", async () => {
  const { tokens } = source(() => Promise.reject(new Error("offline")));
  await expect(tokens.get("use")).rejects.toMatchObject({
    code: "MISSING_AUTHORIZATION",
    retryable: true,
  });
});
