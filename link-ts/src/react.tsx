import type {
  KalamClient,
  KalamError,
  LiveQuery,
  LiveStatus,
  Row,
} from "kalam-link";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";

const Client = createContext<KalamClient | undefined>(undefined);

/**
 * Gives a client to the hooks below it.
 *
 * @example
 * ```tsx
 * <KalamProvider client={client}>
 *   <Chat />
 * </KalamProvider>
 * ```
 */
export function KalamProvider(props: {
  client: KalamClient;
  children?: ReactNode;
}) {
  return <Client value={props.client}>{props.children}</Client>;
}

/**
 * The client of the nearest {@link KalamProvider}.
 *
 * @example
 * ```tsx
 * const client = useKalam();
 * const send = (body: string) => client.insert("chat.messages", { body });
 * ```
 */
export function useKalam(): KalamClient {
  const client = useContext(Client);
  if (client) return client;
  throw new Error("there is no KalamProvider around this component");
}

/**
 * What {@link useLiveQuery} gives.
 *
 * @example
 * ```ts
 * const count = ({ rows, status }: LiveQueryState<Message>) => `${rows.length} (${status})`;
 * ```
 */
export interface LiveQueryState<T> {
  rows: readonly T[];
  status: LiveStatus;
  error: KalamError | undefined;
}

const LOADING: LiveQueryState<never> = {
  rows: [],
  status: "loading",
  error: undefined,
};

/**
 * The rows of a query, kept up to date while the component is there.
 *
 * @example
 * ```tsx
 * const { rows, status } = useLiveQuery<Message>("SELECT * FROM chat.messages WHERE room = $1", [room]);
 * ```
 */
export function useLiveQuery<T = Row>(
  sql: string,
  params: readonly unknown[] = [],
): LiveQueryState<T> {
  const client = useKalam();
  const stable = useStable(params);
  const store = useMemo(
    () => new LiveStore<T>(() => client.live<T>(sql, stable)),
    [client, sql, stable],
  );
  return useSyncExternalStore(store.subscribe, store.state, store.loading);
}

/** A live query that lives while somebody looks at it. */
class LiveStore<T> {
  readonly #open: () => LiveQuery<T>;
  #query: LiveQuery<T> | undefined;
  #state: LiveQueryState<T> = LOADING;
  #watchers = 0;

  constructor(open: () => LiveQuery<T>) {
    this.#open = open;
  }

  readonly subscribe = (told: () => void): (() => void) => {
    this.#watchers += 1;
    this.#query ??= this.#open();
    const query = this.#query;
    const end = query.onRows((rows, status) => {
      this.#state = { rows, status, error: query.error };
      told();
    });
    return () => {
      end();
      this.#watchers -= 1;
      if (this.#watchers > 0) return;
      query.close();
      this.#query = undefined;
    };
  };

  readonly state = (): LiveQueryState<T> => this.#state;

  /** On a server nothing is live. */
  readonly loading = (): LiveQueryState<T> => LOADING;
}

/**
 * What {@link useQuery} gives.
 *
 * @example
 * ```ts
 * const text = ({ rows, isLoading }: QueryState<Message>) => (isLoading ? "…" : `${rows.length}`);
 * ```
 */
export interface QueryState<T> {
  rows: readonly T[];
  isLoading: boolean;
  error: KalamError | undefined;
  /** Runs it again. */
  refetch: () => void;
}

/**
 * The rows of a query, once.
 *
 * @example
 * ```tsx
 * const { rows, isLoading, refetch } = useQuery<Room>("SELECT * FROM chat.rooms");
 * ```
 */
export function useQuery<T = Row>(
  sql: string,
  params: readonly unknown[] = [],
): QueryState<T> {
  const client = useKalam();
  const stable = useStable(params);
  const [run, setRun] = useState(0);
  const [state, setState] = useState<Omit<QueryState<T>, "refetch">>({
    rows: [],
    isLoading: true,
    error: undefined,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new run is a reason to run.
  useEffect(() => {
    const abort = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    client.query(sql, stable, { signal: abort.signal }).then(
      (answer) =>
        setState({
          rows: answer.rows<T>(),
          isLoading: false,
          error: undefined,
        }),
      (error: unknown) => {
        // Whatever else a query fails with is a KalamError.
        if (!abort.signal.aborted)
          setState({ rows: [], isLoading: false, error: error as KalamError });
      },
    );
    return () => abort.abort();
  }, [client, sql, stable, run]);
  const refetch = useCallback(() => setRun((before) => before + 1), []);
  return { ...state, refetch };
}

/** The same array as long as its values are the same: who calls a hook writes a new one each time. */
function useStable(params: readonly unknown[]): readonly unknown[] {
  const kept = useRef(params);
  const isSame =
    kept.current.length === params.length &&
    params.every((value, index) => isEqual(value, kept.current[index]));
  if (!isSame) kept.current = params;
  return kept.current;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a instanceof Date && b instanceof Date)
    return a.getTime() === b.getTime();
  return Object.is(a, b);
}
