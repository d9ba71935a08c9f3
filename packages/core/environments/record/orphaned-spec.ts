import type { Item } from "../../ports/table.ts";
import { Conflict } from "../../problem.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { keyOfText, keyText, specKey, supersededKey } from "../../store/keys.ts";
import { readEach } from "../../store/readable.ts";
import { removeRecord } from "../../store/write-record.ts";
import { HOUR_MS } from "../../units.ts";
import { parseEnvironment } from "./parse.ts";
import { type EnvironmentSpec, isEnded } from "./record.ts";
import { parseSpec } from "./spec.ts";

const UNREADABLE_MS = HOUR_MS;

/**
 * Keeps a specification that a live head names. Otherwise its create or start died or was paused, and its secrets
 * are removed.
 */
export async function stepSpec(
  ctx: WorkerContext,
  item: Item,
  now: number,
): Promise<Step<EnvironmentSpec> | undefined> {
  const spec = parseSpec(item);
  const named = await isNamed(ctx, spec);
  if (named === "unknown") return { record: { ...spec, dueAt: now + UNREADABLE_MS }, notify: [], log: "not known" };
  if (named) return { record: { ...spec, dueAt: undefined }, notify: [], log: "named by its head" };
  if (!(await removeRecord(ctx, item))) throw new Conflict(keyText(item));
  return undefined;
}

/** Returns `unknown` if the head that may name it is unreadable or not recorded. */
async function isNamed(ctx: WorkerContext, { uid, pk, sk, head = "" }: EnvironmentSpec): Promise<boolean | "unknown"> {
  const key = keyOfText(head);
  if (!key || specKey(key, sk).pk !== pk) return "unknown";
  const items = await ctx.table.getMany([key, supersededKey(key, uid)]);
  const { records, unreadable } = readEach(ctx, items, parseEnvironment);
  if (unreadable.size > 0) return "unknown";
  return records.some((environment) => environment.uid === uid && environment.spec === sk && !isEnded(environment));
}
