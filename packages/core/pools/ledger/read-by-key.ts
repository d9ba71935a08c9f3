import type { Context } from "../../context.ts";
import { parseEnvironment } from "../../environments/record/parse.ts";
import type { Environment } from "../../environments/record/record.ts";
import type { Key } from "../../ports/table.ts";
import { keyOfText, kindOfKey } from "../../store/keys.ts";
import { type Read, readEach } from "../../store/readable.ts";

/**
 * Reads the environments that these keys name, consistently. An environment in neither list is absent. A text that is
 * not a key counts as unreadable, because it does not prove that a record is gone.
 */
export async function readByKey(ctx: Context<"table">, named: readonly string[]): Promise<Read<Environment>> {
  const keys = new Map(named.map((text) => [text, findEnvironmentKey(text)]));
  const knownKeys = [...keys.values()].filter((key) => key !== undefined);
  const items = knownKeys.length > 0 ? await ctx.table.getMany(knownKeys) : [];
  const { records, unreadable } = readEach(ctx, items, parseEnvironment);
  const noKeys = [...keys].flatMap(([text, key]) => (key ? [] : [text]));
  for (const text of noKeys) ctx.log.error("unreadable record", { look: text.slice(0, 200), why: "it is not a key" });
  return { records, unreadable: new Set([...unreadable, ...noKeys]) };
}

function findEnvironmentKey(text: string): Key | undefined {
  const key = keyOfText(text);
  return key && kindOfKey(key) === "environment" ? key : undefined;
}
