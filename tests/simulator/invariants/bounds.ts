import type { Item } from "#core/ports/table.ts";

const KB = 1024;

/**
 * Largest size of an item by kind, in bytes of JSON (docs/architecture/table.md). Items split by the first digit of a
 * uid may have twice their share, because uids are random.
 */
export const bounds = {
  environment: 96 * KB,
  spec: 256 * KB,
  access: 136 * KB,
  "ssh-entry": 302 * KB,
  ended: KB,
  archive: 2 * KB,
  host: 2 * KB,
  disk: 64 * KB,
  directory: 64 * KB,
  "ended-disk": 65 * KB,
  operation: 8 * KB,
  inbox: 4 * KB,
  message: 390 * KB,
  delivery: 72 * KB,
  receiver: KB,
  share: KB,
  user: 64 * KB,
  key: 4 * KB,
  username: 2 * KB,
  "listed-user": KB,
  identity: KB,
  logins: KB,
  ticket: 2 * KB,
  "web-code": KB,
  counter: KB,
  idempotency: 64 * KB,
  pool: 384 * KB,
  node: 16 * KB,
  makeable: 384 * KB,
  "node-gone": KB,
  "run-marks": 128 * KB,
  plan: 64 * KB,
  forecast: 112 * KB,
  used: 32 * KB,
  admission: 24 * KB,
  audit: 4 * KB,
  orphans: 384 * KB,
  sweep: 8 * KB,
  watch: 2 * KB,
  cluster: KB,
  "machine-groups": 96 * KB,
  "sealing-key": KB,
} as const satisfies Readonly<Record<string, number>>;

export type ItemKind = keyof typeof bounds;

export function beyondBound(item: Item): string | undefined {
  const kind = String(item.kind);
  if (!isKind(kind)) return `nobody has written down how large a ${kind} may get`;
  const size = Buffer.byteLength(JSON.stringify(item));
  return size > bounds[kind] ? `a ${kind} has ${size} bytes, at most ${bounds[kind]} are its bound` : undefined;
}

function isKind(kind: string): kind is ItemKind {
  return Object.hasOwn(bounds, kind);
}
