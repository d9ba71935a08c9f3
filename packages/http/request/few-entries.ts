import * as z from "zod";

/**
 * A map that is refused for the number of its entries before one of them is looked at: a body of 1 MiB has room for
 * 100,000, and a fault in each would be found, described and then left out of the answer. So is `__proto__`, which zod
 * would leave out in silence.
 */
export function fewEntries<Schema extends z.ZodType>(most: number, message: string, map: Schema) {
  return z.preprocess((value, ctx) => {
    if (!isMap(value)) return value;
    if (Object.keys(value).length > most) {
      ctx.addIssue({ code: "custom", message });
      return z.NEVER;
    }
    if (!Object.hasOwn(value, "__proto__")) return value;
    ctx.addIssue({ code: "custom", path: ["__proto__"], message: "This name is reserved" });
    return z.NEVER;
  }, map);
}

function isMap(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
