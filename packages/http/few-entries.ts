import * as z from "zod";

/**
 * A map that is refused for the number of its entries before one of them is looked at: a body of 1 MiB has room for
 * 100,000, and a fault in each would be found, described and then left out of the answer.
 */
export function fewEntries<Schema extends z.ZodType>(most: number, message: string, map: Schema) {
  return z.preprocess((value, ctx) => {
    if (!isMap(value) || Object.keys(value).length <= most) return value;
    ctx.addIssue({ code: "custom", message });
    return z.NEVER;
  }, map);
}

function isMap(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
