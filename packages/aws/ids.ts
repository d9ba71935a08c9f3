import { createHmac, hash, randomBytes, randomInt, randomUUID } from "node:crypto";
import type { Ids } from "#core/ports/ids.ts";

/** Returns ids from the system's random source. UUIDs sort by time, and in one process by order of creation. */
export function systemIds(now: () => number = Date.now): Ids {
  let lastMs = 0;
  let order = 0;
  const draw = randomDraws();
  const nextOrder = () => {
    // RFC 9562 section 6.2, method 1: a counter in rand_a, seeded below its middle to leave room.
    const ms = Math.max(now(), lastMs);
    order = ms > lastMs ? randomInt(0x800) : order + 1;
    lastMs = order > 0xfff ? ms + 1 : ms;
    if (order > 0xfff) order = 0;
  };
  return {
    uid: () => draw(UID_BYTES).toString("hex"),
    uuid4: randomUUID,
    uuid7() {
      nextOrder();
      const time = lastMs.toString(16).padStart(12, "0");
      const rest = randomBytes(8);
      rest.writeUInt8((rest.readUInt8(0) & 0x3f) | 0x80, 0);
      const tail = rest.toString("hex");
      const middle = `7${order.toString(16).padStart(3, "0")}`;
      return `${time.slice(0, 8)}-${time.slice(8)}-${middle}-${tail.slice(0, 4)}-${tail.slice(4)}`;
    },
    secret: (bytes) => randomBytes(bytes).toString("base64url"),
    hash: (text) => hash("sha256", text),
    hmac: (key, text) => createHmac("sha256", key).update(text).digest(),
  };
}

const UID_BYTES = 16;
const DRAWN_BYTES = 128 * UID_BYTES;

/** Returns a buffered source of random bytes for ids, not secrets: one read costs ten times as much as an id. */
function randomDraws(): (bytes: number) => Buffer {
  let drawn = Buffer.alloc(0);
  let used = 0;
  return (bytes) => {
    if (used + bytes > drawn.length) {
      drawn = randomBytes(DRAWN_BYTES);
      used = 0;
    }
    used += bytes;
    return drawn.subarray(used - bytes, used);
  };
}
