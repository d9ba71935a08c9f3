import type { Key } from "./context.ts";

/** Every key of the table, in one place (answers: records and keys). `sk` of a single item is "-". */
export function environmentKey(owner: string, createdBy: string, id: string): Key {
  return { pk: environmentsOf(owner, createdBy), sk: id };
}

/** The partition that holds all environments of one owner and kind: a list is one query of it. */
export function environmentsOf(owner: string, createdBy: string): string {
  return `owner#${owner}#env#${createdBy}`;
}

export function specKey(environment: Key): Key {
  return { pk: `${environment.pk}#spec`, sk: environment.sk };
}

/** The SSH keys that were fetched for an environment: too big for its head. */
export function accessKey(environment: Key): Key {
  return { pk: `${environment.pk}#access`, sk: environment.sk };
}

/** The partition that holds all disks of an owner, and before them their directory. */
export function disksOf(owner: string): string {
  return `owner#${owner}#disk`;
}

export function diskKey(owner: string, uid: string): Key {
  return { pk: disksOf(owner), sk: uid };
}

/**
 * The one item that decides which disk names of an owner exist. It sorts before every uid, so that one query of the
 * partition reads names and disks.
 */
export function directoryKey(owner: string): Key {
  return { pk: disksOf(owner), sk: "-" };
}

export function operationKey(owner: string, id: string): Key {
  return { pk: `owner#${owner}#op`, sk: id };
}

export function poolKey(type: string): Key {
  return single(`pool#${type}`);
}

/** What the operator wants of admission, over all pools. */
export const admissionKey: Key = single("admission");

/** What the latest comparison of cluster and records found. */
export const orphansKey: Key = single("orphans");

/** The partition that holds what operators did in one month, `2026-01`. */
export function auditOf(month: string): string {
  return `audit#${month}`;
}

/** Advice of one pool's plan; `digit` is the first hex digit of the hash of the environment's uid. */
export function planKey(type: string, digit: string): Key {
  return single(`plan#${type}#${digit}`);
}

export function apiKeyKey(hash: string): Key {
  return single(`key#${hash}`);
}

/** What became of a create under an Idempotency-Key; `hash` covers owner, method, path and that key. */
export function idempotencyKey(hash: string): Key {
  return single(`idem#${hash}`);
}

export function userKey(uid: string): Key {
  return single(`user#${uid}`);
}

export function usernameKey(name: string): Key {
  return single(`username#${name}`);
}

export function identityKey(hash: string): Key {
  return single(`identity#${hash}`);
}

export const userCounterKey: Key = single("counter#user");

/** A key as a message carries it. */
export function keyText({ pk, sk }: Key): string {
  return `${pk}|${sk}`;
}

/** The key that a message names, or undefined for text that is none. */
export function keyOfText(text: string): Key | undefined {
  const bar = text.lastIndexOf("|");
  if (bar < 1 || bar === text.length - 1) return undefined;
  return { pk: text.slice(0, bar), sk: text.slice(bar + 1) };
}

export type RecordKind = "environment" | "pool" | "disk" | "user";

/** Which reconcile looks at a record with this key; undefined for items that are never looked at. */
export function kindOfKey({ pk }: Key): RecordKind | undefined {
  if (/^owner#[^#]+#env#[^#]+$/.test(pk)) return "environment";
  if (/^owner#[^#]+#disk$/.test(pk)) return "disk";
  if (pk.startsWith("pool#")) return "pool";
  if (pk.startsWith("user#")) return "user";
  return undefined;
}

function single(pk: string): Key {
  return { pk, sk: "-" };
}
