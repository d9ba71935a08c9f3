import { MOST_MACHINES } from "#core/fleet.ts";
import { environmentKey, keyText, nodeKey } from "#core/store/keys.ts";
import { asSealed, type Sealed } from "#core/store/sealed.ts";

export const uid = "f".repeat(32);
export const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
export const hash = "f".repeat(64);
/** Time in ms. */
export const at = 1_893_456_000_000;
/** Time in seconds. */
export const ttl = at / 1000;
export const id = "s".repeat(64);
export const username = "u".repeat(129);
/** Longest reason: 120 characters of three bytes. */
export const reason = "€".repeat(120);
/** Writers and format, which every record has. */
export const base = { writers: many(8, () => uid), format: 1 };

export const home = environmentKey(uid, "session-manager", id);
export const homeText = keyText(home);
export const zone = "us-gov-west-1-lax-1a";
export const machine = {
  name: `ip-10-0-101-213.${"us-gov-west-1".padEnd(14, "x")}.compute.internal`,
  uid: uuid,
  providerId: `aws:///${zone}/i-0123456789abcdef0`,
};
export const nodeItemKey = nodeKey("cpu-shared", "f", `${machine.name}~${machine.uid}`);
export const size = {
  pool: "cpu-shared",
  instanceType: "p6-b200.48xlarge",
  machines: MOST_MACHINES,
  units: 8,
  gpus: 8 * MOST_MACHINES,
  wantedMs: 31_536_000_000,
};

export function many<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

export function formatUid(n: number): string {
  return n.toString(16).padStart(32, "f");
}

/** Returns a value as long as the sealed form of this many bytes. */
export function sealed(bytes: number): Sealed {
  return asSealed(`v1.${"x".repeat(Math.ceil(((bytes + 28) * 4) / 3))}`);
}

/** Record in its stored form. */
export type Written<Record> = Record & { readonly format: number };
