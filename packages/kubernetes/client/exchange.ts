import type { IncomingMessage } from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiRefused, ApiUnreachable, isTooLong, type StatusBody, timedOut, tooLong } from "./api-error.ts";

export interface ApiAccess {
  /** https, possibly with a path behind a proxy. */
  readonly url: string;
  /** PEM; undefined trusts the authorities of this machine. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name in the server's certificate, if it is not that of the address. */
  readonly servername?: string | undefined;
  /** Returns the token for a call; undefined if the certificate is enough. `refused` was just rejected. */
  token(refused?: string): Promise<string | undefined>;
  /** ms; 5,000 by default. */
  readonly deadlineMs?: number;
  /** 64 MiB by default. */
  readonly mostBytes?: number;
}

export interface Outgoing {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: object;
  /** JSON by default. */
  readonly type?: string;
  readonly accept?: string;
}

export interface Connection {
  readonly access: ApiAccess;
  readonly agent: https.Agent;
  readonly deadline: AbortSignal;
}

/** Pause after a 429 without `retry-after`. */
const pauseMs = 1_000;

/** Returns the response of an accepted call, which `signal` can abort. Retries a 429 until the deadline. */
export async function exchange(
  connection: Connection,
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { access, deadline } = connection;
  const call = formatRequestName(outgoing);
  let token = await inTime(access.token(), call, deadline);
  let hasFreshToken = false;
  for (;;) {
    const response = await sendAgain(connection, outgoing, token, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const body = await readStatusBody(response, call, deadline);
    if (status === 401 && !hasFreshToken) {
      token = await inTime(access.token(token), call, deadline);
      hasFreshToken = true;
      continue;
    }
    if (status !== 429) throw new ApiRefused(call, status, body);
    const waitsMs = (Number(response.headers["retry-after"]) || 0) * 1000 || pauseMs;
    await sleep(waitsMs, undefined, { signal: deadline }).catch(() => {
      throw new ApiRefused(call, status, body);
    });
  }
}

export function tlsOptions({ ca, cert, key, servername }: ApiAccess) {
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), ...(servername && { servername }) };
}

export function buildUrl({ url }: ApiAccess, path: string): URL {
  return new URL(`${url.replace(/\/+$/, "")}${path}`);
}

export function authorization(token: string | undefined): { authorization?: string } {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Rejects at the deadline, because token sources may hang too. */
export function inTime<Value>(waited: Promise<Value>, call: string, deadline: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new ApiUnreachable(call, timedOut));
    if (deadline.aborted) stop();
    deadline.addEventListener("abort", stop);
    void waited.then(resolve, reject).finally(() => deadline.removeEventListener("abort", stop));
  });
}

const mostRefusalBytes = 1024 ** 2;

/** Returns a whole response as text. Throws at more than `most` bytes, without reading the rest. */
export async function readText(
  response: IncomingMessage,
  call: string,
  deadline: AbortSignal,
  most: number,
): Promise<string> {
  const stop = () => response.destroy(new Error("late"));
  deadline.addEventListener("abort", stop);
  try {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > most) throw new ApiUnreachable(call, tooLong);
      parts.push(part);
    }
    return Buffer.concat(parts).toString();
  } catch (error) {
    throw error instanceof ApiUnreachable ? error : unreachable(call, error, deadline);
  } finally {
    deadline.removeEventListener("abort", stop);
  }
}

/** Returns the name of a call for errors. Omits the query, which may hold words of a command. */
export function formatRequestName({ method, path }: Pick<Outgoing, "method" | "path">): string {
  return `${method} ${path.split("?")[0]}`;
}

export function withQuery(path: string, query: string): string {
  return `${path}${path.includes("?") ? "&" : "?"}${query}`;
}

const stale = ["ECONNRESET", "EPIPE"];

/** Retries a call on an idle connection that the server closed just then: it has read nothing. */
async function sendAgain(
  connection: Connection,
  outgoing: Outgoing,
  token: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  for (;;) {
    const request = begin(connection, outgoing, token);
    try {
      return await answerTo(request, connection.deadline, signal);
    } catch (error) {
      const isStale = request.reusedSocket && stale.includes(getCode(error)) && !connection.deadline.aborted;
      if (!isStale || signal.aborted) throw unreachable(formatRequestName(outgoing), error, connection.deadline);
    }
  }
}

function begin({ access, agent }: Connection, outgoing: Outgoing, token: string | undefined) {
  const { method, path, body, type = "application/json", accept = "application/json" } = outgoing;
  const data = body === undefined ? undefined : JSON.stringify(body);
  const length = data === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(data) };
  const headers = { ...authorization(token), accept, ...length };
  return https.request(buildUrl(access, path), { method, agent, headers }).end(data);
}

function answerTo(
  request: ReturnType<typeof begin>,
  deadline: AbortSignal,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const stop = () => request.destroy(new Error("late"));
    const forget = () => {
      deadline.removeEventListener("abort", stop);
      if (signal !== deadline) signal.removeEventListener("abort", stop);
    };
    request.once("response", (response) => {
      deadline.removeEventListener("abort", stop);
      response.once("close", forget);
      resolve(response);
    });
    // The reader of the response gets later errors.
    request.on("error", (error) => {
      forget();
      reject(error);
    });
    if (deadline.aborted || signal.aborted) return stop();
    deadline.addEventListener("abort", stop);
    if (signal !== deadline) signal.addEventListener("abort", stop);
  });
}

/** Returns the `Status` of a refusal; empty if a proxy answered. */
export async function readStatusBody(
  response: IncomingMessage,
  call: string,
  deadline: AbortSignal,
): Promise<StatusBody> {
  const text = await readText(response, call, deadline, mostRefusalBytes).catch((error: unknown) => {
    if (isTooLong(error)) return "";
    throw error;
  });
  try {
    const body = JSON.parse(text) as StatusBody | null;
    return body?.kind === "Status" ? body : {};
  } catch {
    return {};
  }
}

function unreachable(call: string, error: unknown, deadline: AbortSignal): ApiUnreachable {
  return new ApiUnreachable(call, deadline.aborted ? timedOut : getCode(error));
}

function getCode(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : "cut off";
}
