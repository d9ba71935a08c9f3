import { createHmac, hash } from "node:crypto";
import type { Clock } from "#core/ports/clock.ts";
import type { Ids } from "#core/ports/ids.ts";
import { seededRandom } from "./random.ts";

const HEX = "0123456789abcdef";

/** Ids that depend on the seed (and, for UUIDs, the clock) alone; `hash` is the real SHA-256. */
export function seededIds(seed = 1, clock?: Pick<Clock, "now">): Ids {
  const random = seededRandom(seed);
  // Every write takes one: a list of digits would cost more than drawing them.
  const hex = (digits: number) => {
    let made = "";
    while (made.length < digits) made += HEX[Math.floor(random() * 16)];
    return made;
  };
  let made = 0;
  const hashes = new Map<string, string>();
  return {
    uid: () => hex(32),
    uuid4: () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`,
    uuid7() {
      const ms = (clock?.now() ?? 0).toString(16).padStart(12, "0");
      const order = (made++ % 0x1000).toString(16).padStart(3, "0");
      return `${ms.slice(0, 8)}-${ms.slice(8, 12)}-7${order}-8${hex(3)}-${hex(12)}`;
    },
    secret: (bytes) =>
      Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256))).toString("base64url"),
    hash(text) {
      const known = hashes.get(text) ?? hash("sha256", text);
      hashes.set(text, known);
      return known;
    },
    hmac: (key, text) => createHmac("sha256", key).update(text).digest(),
  };
}
