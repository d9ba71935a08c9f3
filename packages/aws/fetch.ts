import { isIP, type LookupFunction } from "node:net";
import type { Fetch } from "#core/ports/fetch.ts";
import { AddressRefused } from "#core/problem.ts";
import { exchange } from "./exchange.ts";
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
