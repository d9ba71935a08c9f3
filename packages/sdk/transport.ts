import { baseUrl } from "./address.ts";
import { answerError, BerthError, errorFor } from "./errors.ts";
import { mergeSignals, retryDelay, sleep } from "./retry.ts";

export interface CallOptions {
  /** Ends the call, and every wait between its attempts. */
  readonly signal?: AbortSignal | undefined;
}

export interface CreateOptions extends CallOptions {
  /** Name of the request. All attempts share it, so that nothing is created twice. A random one by default. */
  readonly idempotencyKey?: string | undefined;
}

/** The request that the SDK gives to `fetch`. */
export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
  readonly redirect: "error";
  /** Sends the cookie of a browser's session. */
  readonly credentials?: "same-origin";
  readonly signal?: AbortSignal;
}

/** The parts of a `Response` that the SDK reads. */
export interface FetchedAnswer extends Pick<Response, "ok" | "status" | "text"> {
  readonly headers: AnswerHeaders;
}

export type AnswerHeaders = Pick<Headers, "get" | "has">;

/** The global `fetch`, or a function that does as much of it as the SDK needs. */
export type Fetch = (url: URL, init: FetchInit) => Promise<FetchedAnswer>;

export interface TransportOptions {
  readonly url: string;
  readonly key?: string | undefined;
  /** Set in the pages of a deployment, which send the cookie of `web.openSession` in place of a key. */
  readonly cookie?: true | undefined;
  readonly credentials?: ((options: CallOptions) => Promise<string>) | undefined;
  readonly fetch?: Fetch | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly userAgent?: string | undefined;
  /** Called with the names of fields and parameters that the server ignored. */
  readonly onIgnored?: ((names: readonly string[]) => void) | undefined;
}

export interface Call extends CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly accept?: string;
  readonly etag?: string | undefined;
  /** The path needs no key, so none is sent. */
  readonly public?: boolean;
  /** `key`: sent under one idempotency key. `safe`: the API allows repeats. `never`: sent at most once. */
  readonly repeat?: "key" | "safe" | "never";
  readonly idempotencyKey?: string | undefined;
}

export interface Answer<Data> {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly data: Data;
}

interface SentRequest {
  readonly url: URL;
  readonly init: FetchInit;
}

/** How long one attempt may take. */
const attemptMs = 60_000;

/** Sends calls, retries them, and renews the key. */
export class Transport {
  readonly url: string;
  readonly #options: TransportOptions;
  #key: string | undefined;
  #renewal: Promise<string> | undefined;

  constructor(options: TransportOptions) {
    this.url = baseUrl(options.url);
    this.#options = options;
    this.#key = options.key;
  }

  /** Returns the data of a successful answer. Throws a `BerthError` for every other. */
  async send<Data>(method: string, path: string, call: Call = {}): Promise<Data> {
    return (await this.sendForAnswer<Data>(method, path, call)).data;
  }

  async sendForAnswer<Data>(method: string, path: string, call: Call = {}): Promise<Answer<Data>> {
    const signal = mergeSignals(this.#options.signal, call.signal);
    const key = call.public ? undefined : await this.#currentKey(signal);
    try {
      return await this.#sendWithRetries<Data>(method, path, { ...call, signal }, key);
    } catch (error) {
      const canRenew = error instanceof BerthError && error.code === "key_expired" && this.#options.credentials;
      if (!canRenew) throw error;
      const renewed = await this.#renew(key, signal);
      return this.#sendWithRetries<Data>(method, path, { ...call, signal }, renewed);
    }
  }

  /** Returns the key that calls use now, for programs that call the API by other means. */
  currentKey(options: CallOptions = {}): Promise<string | undefined> {
    return this.#currentKey(options.signal);
  }

  async #currentKey(signal: AbortSignal | undefined): Promise<string | undefined> {
    if (this.#key !== undefined || !this.#options.credentials) return this.#key;
    return this.#renew(undefined, signal);
  }

  /** Concurrent calls share one renewal, which therefore outlives the signal of a single call. */
  async #renew(refused: string | undefined, signal: AbortSignal | undefined): Promise<string> {
    if (this.#key !== undefined && this.#key !== refused) return this.#key;
    const { credentials, signal: ownSignal } = this.#options;
    if (!credentials) throw errorFor("There is no key", { status: 0, code: "key_missing" });
    this.#renewal ??= credentials({ signal: ownSignal })
      .then((key) => {
        this.#key = key;
        return key;
      })
      .finally(() => {
        this.#renewal = undefined;
      });
    return abortable(this.#renewal, signal);
  }

  async #sendWithRetries<Data>(method: string, path: string, call: Call, key: string | undefined) {
    const repeat = call.repeat ?? (method === "GET" ? "safe" : "never");
    const request = this.#request(method, path, call, repeat, key);
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt<Data>(path, request, call).catch((error: unknown) => error);
      if (!(outcome instanceof Error)) return outcome as Answer<Data>;
      if (call.signal?.aborted) throw call.signal.reason;
      const delayMs = repeat === "never" ? undefined : retryDelay(outcome, attempt, performance.now() - startedAt);
      if (delayMs === undefined) throw outcome;
      await sleep(delayMs, call.signal);
    }
  }

  #request(method: string, path: string, call: Call, repeat: Call["repeat"], key: string | undefined): SentRequest {
    // Without the slash, "@other.example" or ".other.example" would send the key to another host.
    if (!path.startsWith("/")) throw errorFor("A path must begin with /", { status: 0, code: "invalid" });
    const url = new URL(this.url + path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const { userAgent, cookie } = this.#options;
    // A plain object: the first `Headers` of a process in Node loads all of fetch.
    const headers = {
      accept: call.accept ?? "application/json",
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(call.body !== undefined && { "content-type": "application/json" }),
      ...(call.etag !== undefined && { "if-none-match": call.etag }),
      ...(repeat === "key" && { "idempotency-key": call.idempotencyKey ?? globalThis.crypto.randomUUID() }),
      ...(userAgent !== undefined && { "user-agent": userAgent }),
    };
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    return { url, init: { method, headers, body, redirect: "error", ...(cookie && { credentials: "same-origin" }) } };
  }

  async #attempt<Data>(path: string, { url, init }: SentRequest, call: Call) {
    const signal = mergeSignals(call.signal, AbortSignal.timeout(attemptMs));
    const send = this.#options.fetch ?? fetch;
    try {
      const response = await send(url, { ...init, ...(signal && { signal }) });
      const answer = await readAnswer<Data>(response);
      const ignored = answer.headers.get("berth-ignored");
      if (ignored !== null) this.#options.onIgnored?.(ignored.split(", "));
      return answer;
    } catch (error) {
      if (error instanceof BerthError || call.signal?.aborted) throw error;
      const message = `${this.url} cannot be reached: ${formatReason(error)}`;
      throw errorFor(message, { status: 0, code: "unreachable", cause: new Error(path, { cause: error }) });
    }
  }
}

async function readAnswer<Data>(response: FetchedAnswer): Promise<Answer<Data>> {
  const { status, headers } = response;
  if (status === 304) return { status, headers, data: undefined as Data };
  const text = await response.text();
  if (headers.get("content-type")?.startsWith("text/plain") && response.ok) {
    return { status, headers, data: text as Data };
  }
  const body = parseJson(text);
  if (response.ok && body !== undefined) return { status, headers, data: body as Data };
  const isBerth = headers.has("x-request-id");
  if (body !== undefined || (isBerth && !response.ok)) throw answerError(response, body);
  if (status >= 502 && status <= 504) throw answerError(response, undefined);
  const kind = headers.get("content-type")?.split(";")[0] ?? "no content type";
  throw errorFor(`The server answered ${status} with ${kind} that is not whole JSON`, {
    status,
    code: "unreadable",
    requestId: headers.get("x-request-id") ?? undefined,
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function formatReason(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message?: string };
  return cause?.code ?? cause?.message ?? message ?? "unknown";
}

function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
