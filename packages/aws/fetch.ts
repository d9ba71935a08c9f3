import type { ClientRequest, IncomingMessage } from "node:http";
import { isIP, type LookupFunction } from "node:net";
import type { Fetch, FetchAnswer, FetchRequest } from "#core/ports/fetch.ts";
import { AddressRefused, NoAnswer } from "#core/problem.ts";
import { allowList, isLoopbackName, isOwnMachine, isPrivateAddress } from "./settings/addresses.ts";
import { readConfig } from "./settings/config.ts";

/** Throws if WEBHOOK_ALLOW includes this machine. */
export const fetch = (): Fetch => {
  const { WEBHOOK_ALLOW: allow } = readConfig(["WEBHOOK_ALLOW"]);
  const ownMachines = allow.filter(isOwnMachine);
  if (ownMachines.length > 0)
    throw new Error(`WEBHOOK_ALLOW must not name the machine itself: ${ownMachines.join(", ")}`);
  return guardedFetch({ allow });
};

interface Found {
  readonly address: string;
  readonly family: number;
}

export interface GuardOptions {
  /** Names, addresses and networks that are allowed although they are private. */
  readonly allow: readonly string[];
  /** Resolves all addresses of a name. Throws if it has none. */
  readonly resolve?: (hostname: string) => Promise<readonly Found[]>;
}

/** Posts to receivers over HTTP. Dials exactly the address that was checked. */
export function guardedFetch({ allow, resolve = resolveAll }: GuardOptions): Fetch {
  const allowed = allowList(allow);
  const isRefused = (address: string) => isPrivateAddress(address) && !allowed.hasAddress(address);

  /** Returns the addresses of a host. One private address refuses the whole name. */
  async function listAddresses(hostname: string): Promise<readonly Found[]> {
    const family = isIP(hostname);
    if (family !== 0) {
      if (isRefused(hostname)) throw new AddressRefused();
      return [{ address: hostname, family }];
    }
    const name = hostname.replace(/\.$/, "");
    if (allowed.hasHost(name)) return resolve(hostname);
    if (isLoopbackName(name) && !allowed.hasAddress("127.0.0.1")) throw new AddressRefused();
    const found = await resolve(hostname);
    if (found.some(({ address }) => isRefused(address))) throw new AddressRefused();
    return found;
  }

  const guarded: LookupFunction = (hostname, options, callback) => {
    listAddresses(hostname).then(
      (found) => {
        const [first] = found;
        if (!first) return callback(new Error("No address"), "");
        return options.all ? callback(null, [...found]) : callback(null, first.address, first.family);
      },
      (error) => callback(error, ""),
    );
  };

  return {
    async authorize(url) {
      try {
        await inTime(listAddresses(formatHostname(new URL(url))));
        return "allowed";
      } catch (error) {
        return error instanceof AddressRefused ? "private" : "allowed";
      }
    },
    async post(request) {
      const url = new URL(request.url);
      if (!/^https?:$/.test(url.protocol) || url.username || url.password) throw new AddressRefused();
      const hostname = formatHostname(url);
      // A literal address is dialled without a lookup.
      if (isIP(hostname) !== 0) await listAddresses(hostname);
      return exchange(url, request, guarded);
    },
  };
}

function formatHostname({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

async function resolveAll(hostname: string): Promise<readonly Found[]> {
  // Imported late, because requests without a receiver load this file too.
  const { lookup } = await import("node:dns/promises");
  return lookup(hostname, { all: true });
}

/** Limit of a lookup in a request. The name is resolved again when the receiver is dialled. */
const LOOKUP_MS = 2_000;

async function inTime<Value>(work: Promise<Value>): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, LOOKUP_MS, undefined);
  });
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}

/** Limits of the answer's body, which is read only to end the connection cleanly. */
const MOST_BODY_BYTES = 64 * 1024;
const BODY_MS = 1_000;

/** Sends one POST on its own connection. Throws `NoAnswer` with a reason for users, or `AddressRefused`. */
async function exchange(
  url: URL,
  { headers, body, timeoutMs }: FetchRequest,
  lookup: LookupFunction,
): Promise<FetchAnswer> {
  const signal = AbortSignal.timeout(timeoutMs);
  // Imported late: node:http loads a whole client, and most requests on Lambda post nothing.
  const { request: send } = await (url.protocol === "https:" ? import("node:https") : import("node:http"));
  const ownHeaders = { "Content-Length": String(Buffer.byteLength(body)), Connection: "close" };
  const request = send(url, { method: "POST", headers: { ...headers, ...ownHeaders }, agent: false, lookup, signal });
  try {
    const response = await getResponse(request, body);
    const { statusCode: status = 0 } = response;
    await drained(response);
    return { status, retryAfterMs: retryAfterMs(response.headers["retry-after"], Date.now()) };
  } catch (error) {
    if (error instanceof AddressRefused) throw error;
    throw new NoAnswer(signal.aborted ? "timed out" : formatWord(error));
  } finally {
    request.destroy();
  }
}

/** Parses seconds or a date (RFC 9110 section 10.2.3) into a delay; null if it is neither. */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000;
  const at = /^[A-Z][a-z]{2},/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

function getResponse(request: ClientRequest, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on("response", resolve);
    // Stays for the whole answer: an unhandled error would end the process.
    request.on("error", reject);
    request.on("close", () => reject(new NoAnswer("connection closed")));
    request.end(body);
  });
}

/** Resolves even if the body fails, since the status is known. */
function drained(response: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, BODY_MS);
    const over = () => {
      clearTimeout(timer);
      resolve();
    };
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > MOST_BODY_BYTES) {
        response.destroy();
        over();
      }
    });
    response.on("error", over).on("close", over).on("end", over);
  });
}

const words: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, "connection refused"],
  [/^(?:ENOTFOUND|EAI_AGAIN|ENODATA)$/, "name not found"],
  [/^(?:ECONNRESET|EPIPE)$/, "connection closed"],
  [/^(?:EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/, "not reachable"],
  [/^ETIMEDOUT$/, "timed out"],
  [/^HPE_/, "no HTTP answer"],
  [/CERT|SIGNED|VERIFY|ALTNAME/, "certificate not accepted"],
  [/^(?:EPROTO|ERR_SSL|ERR_TLS)/, "TLS failed"],
];

/** Describes an error without its text, which may hold the URL. */
function formatWord(error: unknown): string {
  if (error instanceof NoAnswer) return error.message;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return words.find(([pattern]) => pattern.test(code))?.[1] ?? "network error";
}
