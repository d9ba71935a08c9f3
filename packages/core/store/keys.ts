import type { Key } from "../ports/table.ts";

/** Every key of the table is built in this file. `sk` of a single item is "-". */
export function environmentKey(owner: string, createdBy: string, id: string): Key {
  return { pk: environmentsPartition(owner, createdBy), sk: id };
}

/** Returns the partition with all environments of one owner and kind, so that one query lists them. */
export function environmentsPartition(owner: string, createdBy: string): string {
  return `owner#${owner}#env#${createdBy}`;
}

/** Returns the key of a spec. `spec` begins with the environment's uid and differs for each start that changes it. */
export function specKey(environment: Key, spec: string): Key {
  return { pk: `${environment.pk}#spec`, sk: spec };
}

/** Returns the key of an environment's fetched SSH keys, which are too big for its head. */
export function accessKey(environment: Key, uid: string): Key {
  return { pk: `${environment.pk}#access`, sk: uid };
}

/** Returns the partition that lists the ended environments of one owner and kind by end time. */
export function endedPartition(owner: string, createdBy: string): string {
  return `owner#${owner}#ended#${createdBy}`;
}

/** Returns the key of an ended environment's entry. `at` is the end, ms. */
export function endedKey(owner: string, createdBy: string, at: number, uid: string): Key {
  return { pk: endedPartition(owner, createdBy), sk: `${String(at).padStart(13, "0")}#${uid}` };
}

/** Returns the key to which the record of a deleted environment moves when its id is reused. */
export function supersededKey(environment: Key, uid: string): Key {
  return { pk: environment.pk, sk: `${environment.sk}~${uid}` };
}

/** Returns the partition of the environments with an SSH user name, for the gateway. */
export function sshLoginPartition(login: string): string {
  return `ssh-login#${login}`;
}

/** Returns the key of the keys that a gateway admits to an environment under an SSH user name. */
export function sshLoginKey(login: string, uid: string): Key {
  return { pk: sshLoginPartition(login), sk: uid };
}

export function hostKey(label: string): Key {
  return single(`host#${label}`);
}

/** Returns the partition of an owner's archives of deleted environments. `sk` is a file name. */
export function archivesPartition(owner: string): string {
  return `owner#${owner}#archive`;
}

/** Returns the partition with an owner's disk directory, followed by the disks. */
export function disksPartition(owner: string): string {
  return `owner#${owner}#disk`;
}

export function diskKey(owner: string, uid: string): Key {
  return { pk: disksPartition(owner), sk: uid };
}

/** Returns the key for an unreadable disk record that the operator ended. */
export function endedDiskKey(owner: string, uid: string): Key {
  return { pk: `owner#${owner}#ended-disk`, sk: uid };
}

export function ownerOfDisk({ pk }: Key): string {
  return pk.slice("owner#".length, -"#disk".length);
}

/** Returns the key of an owner's disk names. It sorts before every uid, so one query reads names and disks. */
export function directoryKey(owner: string): Key {
  return { pk: disksPartition(owner), sk: "-" };
}

export function operationKey(owner: string, id: string): Key {
  return { pk: `owner#${owner}#op`, sk: id };
}

export function poolKey(type: string): Key {
  return single(`pool#${type}`);
}

export function nodePartitions(type: string): readonly string[] {
  return [..."0123456789abcdef"].map((digit) => `pool#${type}#${digit}`);
}

/** Returns the key of a node's ledger item. `digit` is the first hex digit of the hash of `sk`. */
export function nodeKey(type: string, digit: string, sk: string): Key {
  return { pk: `pool#${type}#${digit}`, sk };
}

/** Returns the sort key of a node's ledger item. A node name may return with another machine, a uid never does. */
export function nodeIdentity({ name, uid }: { readonly name: string; readonly uid: string }): string {
  return `${name}~${uid}`;
}

/** Returns the key of the ledger item for grants on machines still to be created. */
export function makeableKey(type: string): Key {
  return single(`pool#${type}#makeable`);
}

/** Returns the node name in the key of a ledger item, or null for machines still to be created. */
export function parseNodeName(item: string): string | null {
  const sk = item.slice(item.lastIndexOf("|") + 1);
  return sk === "-" ? null : sk.slice(0, sk.lastIndexOf("~"));
}

export function isLedgerItem(type: string, item: string): boolean {
  return item.startsWith(`pool#${type}#`);
}

/** The id of the key that sealed the texts in this table. */
export const sealingKeyKey: Key = single("sealing-key");

export const admissionKey: Key = single("admission");

export const orphansKey: Key = single("orphans");

export const clusterKey: Key = single("cluster");

export const machineGroupsKey: Key = single("machine-groups");

export const watchKey: Key = single("watch");

/** The records that have a sweep of their own. The key of a sweep's position holds its name. */
export type SweepName = "environments" | "disks" | "webhooks";

export function sweepKey(name: SweepName): Key {
  return single(name === "environments" ? "sweep" : `sweep#${name}`);
}

/** Returns the partition of the operators' audit records of one month, `2026-01`. */
export function auditPartition(month: string): string {
  return `audit#${month}`;
}

/** Returns the key of the operator's declaration that a machine is dead, by the uid of its node object. */
export function nodeGoneKey(uid: string): Key {
  return single(`node-gone#${uid}`);
}

/** Returns the key of the run marks in the last listing of machines. `digits` are the first one or two of the uid. */
export function runMarksKey(digits: string): Key {
  return single(`run-marks#${digits}`);
}

/** Returns the key of a plan's advice. `digit` is the first hex digit of the environment's uid. */
export function planKey(type: string, digit: string): Key {
  return single(`plan#${type}#${digit}`);
}

/** Returns the key of a pool's forecast, or of the part for waiting environments with this first digit of the uid. */
export function forecastKey(type: string, digit: string | null): Key {
  return single(digit === null ? `forecast#${type}` : `forecast#${type}#${digit}`);
}

/** Returns the key of a pool's last starts and their estimates, which have separate readers. */
export function forecastStartsKey(type: string): Key {
  return single(`forecast#${type}#starts`);
}

/** Returns the key of the recent use of a pool. `digit` is the first hex digit of the hash of the owner. */
export function usedKey(type: string, digit: string): Key {
  return single(`used#${type}#${digit}`);
}

export function apiKeyKey(hash: string): Key {
  return single(`key#${hash}`);
}

/** Returns the key of a create's outcome. `hash` covers owner, method, path and Idempotency-Key. */
export function idempotencyKey(hash: string): Key {
  return single(`idem#${hash}`);
}

/** Returns the key of a WebSocket, by the gateway's connection id. */
export function connectionKey(id: string): Key {
  return single(`connection#${id}`);
}

export function openConnectionsKey(owner: string): Key {
  return single(`connections#${owner}`);
}

/** Returns the key of a ticket for a web terminal, by the hash of the ticket. */
export function ticketKey(hash: string): Key {
  return single(`ticket#${hash}`);
}

/** Returns the key of a code that logs a browser in, by the hash of the code. */
export function webCodeKey(hash: string): Key {
  return single(`web-code#${hash}`);
}

/** Returns the key of the count of login attempts from a network in one minute since 1970. */
export function loginsKey(network: string, minute: number): Key {
  return single(`logins#${network}#${minute}`);
}

export function userKey(uid: string): Key {
  return single(`user#${uid}`);
}

export function usernameKey(name: string): Key {
  return single(`username#${name}`);
}

/** The partition that lists all users by name. */
export const usersPartition = "users";

export function listedUserKey(name: string): Key {
  return { pk: usersPartition, sk: name };
}

export function identityKey(hash: string): Key {
  return single(`identity#${hash}`);
}

export const userCounterKey: Key = single("counter#user");

/** Returns the key of the item that decides which chat message is delivered next, by the environment's uid. */
export function inboxKey(uid: string): Key {
  return single(`inbox#${uid}`);
}

export function chatPartition(uid: string): string {
  return `chat#${uid}`;
}

/** Returns the key of chat message `n`, padded to 12 digits so that keys sort. */
export function chatKey(uid: string, n: number): Key {
  return { pk: chatPartition(uid), sk: String(n).padStart(12, "0") };
}

/** Returns the partition of an owner's webhook deliveries, sorted by event time. */
export function deliveriesPartition(owner: string): string {
  return `owner#${owner}#delivery`;
}

/** Returns the key of the delivery for timeline entry `n`. `at` is the time of the entry, ms. */
export function deliveryKey(owner: string, at: number, uid: string, n: number): Key {
  return { pk: deliveriesPartition(owner), sk: `${String(at).padStart(13, "0")}#${uid}#${n}` };
}

/** Returns the key of one of an owner's receivers. `hash` is the hash of its origin. */
export function receiverKey(owner: string, hash: string): Key {
  return { pk: `owner#${owner}#receiver`, sk: hash };
}

export function ownersReceiversKey(owner: string): Key {
  return receiverKey(owner, "-");
}

/** Returns a key in the form that messages use. */
export function keyText({ pk, sk }: Key): string {
  return `${pk}|${sk}`;
}

/** Parses the key of a message, or returns undefined for invalid text. */
export function keyOfText(text: string): Key | undefined {
  const bar = text.lastIndexOf("|");
  if (bar < 1 || bar === text.length - 1) return undefined;
  return { pk: text.slice(0, bar), sk: text.slice(bar + 1) };
}

export type RecordKind = "environment" | "spec" | "pool" | "disk" | "user" | "inbox" | "delivery";

/** Returns which reconciler handles a record with this key, or undefined if none does. */
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
