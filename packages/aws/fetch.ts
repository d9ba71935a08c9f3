import { isIP, type LookupFunction } from "node:net";
import type { Fetch } from "#core/ports/fetch.ts";
import { AddressRefused } from "#core/problem.ts";
import { exchange } from "./exchange.ts";
import { allowList, isLoopbackName, isOwnMachine, isPrivateAddress } from "./settings/addresses.ts";
import { readConfig } from "./settings/config.ts";

/** The receivers of this deployment. Throws where WEBHOOK_ALLOW would open the machine itself. */
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
  /** Names, addresses and networks that are dialled although they are private. */
  readonly allow: readonly string[];
  /** Every address of a name; throws when it has none. */
  readonly resolve?: (hostname: string) => Promise<readonly Found[]>;
}

/** Posts to receivers over HTTP; the address that is dialled is the very one that was judged. */
export function guardedFetch({ allow, resolve = resolveAll }: GuardOptions): Fetch {
  const allowed = allowList(allow);
  const isRefused = (address: string) => isPrivateAddress(address) && !allowed.hasAddress(address);

  /** What may be dialled for a host: itself, or all that its name means. One bad address spoils the name. */
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
  // Read only where a name is resolved: it is on the import path of requests that name no receiver.
  const { lookup } = await import("node:dns/promises");
  return lookup(hostname, { all: true });
}

/** A request waits no longer for a resolver; it is asked again when the receiver is dialled. */
const LOOKUP_MS = 2_000;

async function inTime<Value>(work: Promise<Value>): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, LOOKUP_MS, undefined);
  });
  return Promise.race([work, over]).finally(() => clearTimeout(timer));
}
