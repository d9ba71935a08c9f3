import type { QueueName } from "../ports/queue.ts";
import type { Key } from "../ports/table.ts";

/** Every key of the table, in one place. `sk` of a single item is "-". */
export function environmentKey(owner: string, createdBy: string, id: string): Key {
  return { pk: environmentsOf(owner, createdBy), sk: id };
}

/** The partition that holds all environments of one owner and kind: a list is one query of it. */
export function environmentsOf(owner: string, createdBy: string): string {
  return `owner#${owner}#env#${createdBy}`;
}

/** What an environment runs; `spec` begins with the uid of its life, and each start that changes it has a new one. */
export function specKey(environment: Key, spec: string): Key {
  return { pk: `${environment.pk}#spec`, sk: spec };
}

/** The SSH keys that were fetched for an environment: too big for its head. */
export function accessKey(environment: Key, uid: string): Key {
  return { pk: `${environment.pk}#access`, sk: uid };
}

/** The partition that names the ended environments of one owner and kind, by the time of their ends. */
export function endedOf(owner: string, createdBy: string): string {
  return `owner#${owner}#ended#${createdBy}`;
}

/** The name of one of them, which ended at `at` ms. */
export function endedKey(owner: string, createdBy: string, at: number, uid: string): Key {
  return { pk: endedOf(owner, createdBy), sk: `${String(at).padStart(13, "0")}#${uid}` };
}

/** The key that the record of a deleted environment moves to once a new one has its id. */
export function supersededKey(environment: Key, uid: string): Key {
  return { pk: environment.pk, sk: `${environment.sk}~${uid}` };
}

/** Who has a part of a host name. */
export function hostKey(label: string): Key {
  return single(`host#${label}`);
}

/** The partition that holds what is kept of an owner's deleted environments; `sk` is a file's name. */
export function archivesOf(owner: string): string {
  return `owner#${owner}#archive`;
}

/** The partition that holds all disks of an owner, and before them their directory. */
export function disksOf(owner: string): string {
  return `owner#${owner}#disk`;
}

export function diskKey(owner: string, uid: string): Key {
  return { pk: disksOf(owner), sk: uid };
}

/** The key under which the record of a disk is kept that could not be read and that the operator ended. */
export function endedDiskKey(owner: string, uid: string): Key {
  return { pk: `owner#${owner}#ended-disk`, sk: uid };
}

/** Answers the owner that the key of a disk names. */
export function ownerOfDisk({ pk }: Key): string {
  return pk.slice("owner#".length, -"#disk".length);
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

/** The partitions that hold the ledger items of a pool's nodes. */
export function nodePartitions(type: string): readonly string[] {
  return [..."0123456789abcdef"].map((digit) => `pool#${type}#${digit}`);
}

/** The ledger item of the node object of this name and uid; `digit` is the first hex digit of the hash of `sk`. */
export function nodeKey(type: string, digit: string, sk: string): Key {
  return { pk: `pool#${type}#${digit}`, sk };
}

/** A node object as the sort key of its ledger item: its name may come back with another machine, its uid never does. */
export function nodeIdentity({ name, uid }: { readonly name: string; readonly uid: string }): string {
  return `${name}~${uid}`;
}

/** The ledger item of what was granted on machines that a pool's group has still to make. */
export function makeableKey(type: string): Key {
  return single(`pool#${type}#makeable`);
}

/** The name of the node whose ledger item this is, by its key in a message; null: of machines still to be made. */
export function nodeNameOf(item: string): string | null {
  const sk = item.slice(item.lastIndexOf("|") + 1);
  return sk === "-" ? null : sk.slice(0, sk.lastIndexOf("~"));
}

/** Whether this is the key of a ledger item of that pool, in a message. */
export function isLedgerOf(type: string, item: string): boolean {
  return item.startsWith(`pool#${type}#`);
}

/** Which key the sealed texts of this table were sealed with, by its id. */
export const sealingKeyKey: Key = single("sealing-key");

/** What the operator wants of admission, over all pools. */
export const admissionKey: Key = single("admission");

/** What the latest comparison of cluster and records found. */
export const orphansKey: Key = single("orphans");

/** Whether the cluster answers. */
export const clusterKey: Key = single("cluster");

/** Who follows the changes of the cluster, and up to where they were passed on. */
export const watchKey: Key = single("watch");

/** The moment up to which the sweep into this queue has sent. */
export function sweepKey(queue: QueueName): Key {
  return single(queue === "work" ? "sweep" : `sweep#${queue}`);
}

/** The partition that holds what operators did in one month, `2026-01`. */
export function auditOf(month: string): string {
  return `audit#${month}`;
}

/** The operator's word that the machine behind the node object of this uid is dead. */
export function nodeGoneKey(uid: string): Key {
  return single(`node-gone#${uid}`);
}

/** What the latest listing of the machines showed of runs; `digits` are the first one or two of the environment's uid. */
export function runMarksKey(digits: string): Key {
  return single(`run-marks#${digits}`);
}

/** Advice of one pool's plan; `digit` is the first hex digit of the environment's uid. */
export function planKey(type: string, digit: string): Key {
  return single(`plan#${type}#${digit}`);
}

/** The forecast of one pool: of the waiting with this first hex digit of their uid, or what it says of the pool. */
export function forecastKey(type: string, digit: string | null): Key {
  return single(digit === null ? `forecast#${type}` : `forecast#${type}#${digit}`);
}

/** The last starts of one pool beside what they had been promised: apart, since who asks for them wants nothing else. */
export function forecastStartsKey(type: string): Key {
  return single(`forecast#${type}#starts`);
}

/** What owners used of a pool lately; `digit` is the first hex digit of the hash of the owner. */
export function usedKey(type: string, digit: string): Key {
  return single(`used#${type}#${digit}`);
}

export function apiKeyKey(hash: string): Key {
  return single(`key#${hash}`);
}

/** What became of a create under an Idempotency-Key; `hash` covers owner, method, path and that key. */
export function idempotencyKey(hash: string): Key {
  return single(`idem#${hash}`);
}

/** What is known of one WebSocket that a gateway keeps, by the gateway's own id of it. */
export function connectionKey(id: string): Key {
  return single(`connection#${id}`);
}

/** The one item that decides whether a user may open another of these. */
export function openConnectionsKey(owner: string): Key {
  return single(`connections#${owner}`);
}

/** How often somebody tried to log in from one network in one minute, which is counted from 1970. */
export function loginsKey(network: string, minute: number): Key {
  return single(`logins#${network}#${minute}`);
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

/** The one item that decides which chat message of an environment is delivered next, by the environment's uid. */
export function inboxKey(uid: string): Key {
  return single(`inbox#${uid}`);
}

/** The partition that holds all chat messages of an environment. */
export function chatOf(uid: string): string {
  return `chat#${uid}`;
}

/** Chat message number `n` of an environment: 12 digits, so that they sort. */
export function chatKey(uid: string, n: number): Key {
  return { pk: chatOf(uid), sk: String(n).padStart(12, "0") };
}

/** The partition that holds all webhook deliveries of an owner, by the time of their events. */
export function deliveriesOf(owner: string): string {
  return `owner#${owner}#delivery`;
}

/** The delivery of entry `n` of an environment's timeline, which was made at `at` ms. */
export function deliveryKey(owner: string, at: number, uid: string, n: number): Key {
  return { pk: deliveriesOf(owner), sk: `${String(at).padStart(13, "0")}#${uid}#${n}` };
}

/** What is known of one of an owner's receivers; `hash` is that of its origin. */
export function receiverKey(owner: string, hash: string): Key {
  return { pk: `owner#${owner}#receiver`, sk: hash };
}

/** What is known of all receivers of an owner together. */
export function ownersReceiversKey(owner: string): Key {
  return receiverKey(owner, "-");
}

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

export type RecordKind = "environment" | "spec" | "pool" | "disk" | "user" | "inbox" | "delivery";

/** Which reconcile looks at a record with this key; undefined for items that are never looked at. */
export function kindOfKey({ pk }: Key): RecordKind | undefined {
  if (/^owner#[^#]+#env#[^#]+$/.test(pk)) return "environment";
  if (/^owner#[^#]+#env#[^#]+#spec$/.test(pk)) return "spec";
  if (/^owner#[^#]+#disk$/.test(pk)) return "disk";
  if (/^owner#[^#]+#delivery$/.test(pk)) return "delivery";
  if (/^pool#[^#]+$/.test(pk)) return "pool";
  if (pk.startsWith("user#")) return "user";
  if (pk.startsWith("inbox#")) return "inbox";
  return undefined;
}

function single(pk: string): Key {
  return { pk, sk: "-" };
}
