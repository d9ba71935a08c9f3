import type { Context } from "../context.ts";
import type { Item, Stored } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { loginsKey } from "../store/keys.ts";
import { writeRecord } from "../store/write-record.ts";
import { MINUTE_MS } from "../units.ts";

/** Per network and minute; an office may share one address. Same limit as the firewall (stacks/edge/firewall.ts). */
export const MOST_LOGINS = 60;
const KEPT_SECONDS = 120;

interface Logins extends Stored {
  readonly kind: "logins";
  readonly count: number;
  readonly ttl: number;
}

/** Counts a login attempt. Throws `tooMany` above the limit. Simultaneous attempts may count as one. */
export async function countLogin(ctx: Context<"table">, address: string): Promise<void> {
  const now = ctx.clock.now();
  const minute = Math.floor(now / MINUTE_MS);
  const key = loginsKey(getNetwork(address), minute);
  const item = await ctx.table.get(key);
  const count = getCount(item);
  if (count >= MOST_LOGINS) {
    const retryAfterSeconds = Math.ceil(((minute + 1) * MINUTE_MS - now) / 1000);
    throw new Problem("tooMany", "Too many requests", { retryAfterSeconds });
  }
  const writers = item?.writers ?? [];
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  await writeRecord<Logins>(ctx, { ...key, writers, kind: "logins", count: count + 1, ttl });
}

function getCount(item: Item | undefined): number {
  return typeof item?.count === "number" ? item.count : 0;
}

/** Returns the /64 of an IPv6 address, since one host has all of it (RFC 4291, 2.5.4); other addresses unchanged. */
function getNetwork(address: string): string {
  const url = `http://[${address.split("%")[0]}]`;
  if (!URL.canParse(url)) return address;
  // The URL parser writes IPv6 as lower-case hexadecimal groups without leading zeros (WHATWG URL Standard).
  const [head = "", tail] = new URL(url).hostname.slice(1, -1).split("::");
  const [first, last] = [head, tail ?? ""].map((part) => (part === "" ? [] : part.split(":")));
  const left = 8 - (first?.length ?? 0) - (last?.length ?? 0);
  const zeros = Array<string>(tail === undefined ? 0 : left).fill("0");
  const groups = [...(first ?? []), ...zeros, ...(last ?? [])];
  // An IPv4-mapped address stands for a single host (RFC 4291, 2.5.5.2).
  const isMapped = groups.slice(0, 6).join(":") === "0:0:0:0:0:ffff";
  return groups.slice(0, isMapped ? 8 : 4).join(":");
}
