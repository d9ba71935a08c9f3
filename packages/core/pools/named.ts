import type { Key } from "../context.ts";
import { parseEnvironment } from "../environments/parse.ts";
import type { Environment } from "../environments/record.ts";
import { keyOfText, kindOfKey } from "../keys.ts";
import { type Read, readEach } from "../readable.ts";
import type { PlannerContext } from "../worker.ts";

/**
 * The environments that a look names or a ledger holds, consistently read. Only what is in neither list is absent: a
 * text that is no key says nothing about any record.
 */
export async function readNamed(ctx: PlannerContext, named: readonly string[]): Promise<Read<Environment>> {
  const keys = new Map(named.map((text) => [text, environmentKeyOf(text)]));
  const known = [...keys.values()].filter((key) => key !== undefined);
  const items = known.length > 0 ? await ctx.table.getMany(known) : [];
  const { records, unreadable } = readEach(ctx, items, parseEnvironment);
  return { records, unreadable: new Set([...unreadable, ...named.filter((text) => !keys.get(text))]) };
}

function environmentKeyOf(text: string): Key | undefined {
  const key = keyOfText(text);
  return key && kindOfKey(key) === "environment" ? key : undefined;
}
