import type { Log } from "#core/ports/log.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** The same log with some fields on every line; a line's own fields win. */
export function boundLog(log: Log, bound: Fields): Log {
  return mapLog(log, (_, fields) => ({ ...bound, ...fields }));
}

/** Returns the same log, and replaces the fields of each line by what `fieldsOf` returns. */
export function mapLog(log: Log, getFields: (event: string, fields: Fields, level: keyof Log) => Fields): Log {
  const at =
    (level: keyof Log) =>
    (event: string, fields: Fields = {}) =>
      (log[level] ?? log.info)(event, getFields(event, fields, level));
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
