import type { Item } from "#core/context.ts";

const KB = 1024;

/** The largest that an item of each kind may get (docs/architecture.md#the-table), in bytes of its JSON. */
const bounds: Readonly<Record<string, number>> = {
  environment: 64 * KB,
  spec: 100 * KB,
  disk: 64 * KB,
  inbox: 4 * KB,
  message: 100 * KB,
  delivery: 64 * KB,
  user: 64 * KB,
  key: 4 * KB,
  pool: 384 * KB,
  node: 16 * KB,
  makeable: 384 * KB,
  plan: 64 * KB,
  used: 32 * KB,
  ended: KB,
  sweep: 8 * KB,
  operation: 8 * KB,
};

/** DynamoDB refuses more of any. */
const MOST = 400 * KB;

/** What is wrong with the size of this item; undefined: it is within its bound. */
export function beyondBound(item: Item): string | undefined {
  const bound = bounds[String(item.kind)] ?? MOST;
  const size = JSON.stringify(item).length;
  return size > bound ? `a ${item.kind} has ${size} bytes, at most ${bound} are its bound` : undefined;
}
