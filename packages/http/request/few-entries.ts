import * as z from "zod";

/**
 * Refuses a map by its number of entries before it reads them, because 1 MiB has room for 100,000 faults. It refuses
 * `__proto__` too, which zod would drop silently.
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
