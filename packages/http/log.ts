import type { Log } from "#core/ports/log.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Returns the log with fields added to every line. A line's own fields take precedence. */
export function boundLog(log: Log, bound: Fields): Log {
  return mapLog(log, (_, fields) => ({ ...bound, ...fields }));
}

/** Returns the log with the fields of each line replaced by the result of `getFields`. */
export function mapLog(log: Log, getFields: (event: string, fields: Fields, level: keyof Log) => Fields): Log {
  const at =
    (level: keyof Log) =>
    (event: string, fields: Fields = {}) =>
      (log[level] ?? log.info)(event, getFields(event, fields, level));
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
