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

export function poolKey(type: string): Key {
  return single(`pool#${type}`);
}

/** Advice of one pool's plan; `digit` is the first hex digit of the hash of the environment's uid. */
export function planKey(type: string, digit: string): Key {
  return single(`plan#${type}#${digit}`);
}

export function apiKeyKey(hash: string): Key {
  return single(`key#${hash}`);
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

export type RecordKind = "environment" | "pool" | "user";

/** Which reconcile looks at a record with this key; undefined for items that are never looked at. */
export function kindOfKey({ pk }: Key): RecordKind | undefined {
  if (/^owner#[^#]+#env#[^#]+$/.test(pk)) return "environment";
  if (pk.startsWith("pool#")) return "pool";
  if (pk.startsWith("user#")) return "user";
  return undefined;
}

function single(pk: string): Key {
  return { pk, sk: "-" };
}
