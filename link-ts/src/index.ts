export { Auth, type AuthKind, type AuthProvider } from "./auth.js";
export type { ClientOptions, KalamClient } from "./client.js";
export { KalamError, type KalamErrorInit } from "./errors.js";
export type { SocketConstructor } from "./host.js";
export type {
  EditsListener,
  LiveEdit,
  LiveQuery,
  RowsListener,
} from "./live.js";
export type {
  BatchControl,
  DataType,
  Field,
  LiveOptions,
  LiveStatus,
  QueryAnswer,
  QueryOptions,
  ReconnectOptions,
  Row,
  SocketLike,
  StatementResult,
  SubscribeOptions,
  SubscriptionEvent,
  SubscriptionInfo,
} from "./types.js";
