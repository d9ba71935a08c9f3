import type { Log } from "#core/ports/log.ts";

export type Fields = Readonly<Record<string, unknown>>;

export function boundLog(log: Log, bound: Fields): Log {
  return mapLog(log, (_, fields) => ({ ...bound, ...fields }));
}

export function mapLog(log: Log, getFields: (event: string, fields: Fields, level: keyof Log) => Fields): Log {
  const at =
    (level: keyof Log) =>
    (event: string, fields: Fields = {}) =>
      (log[level] ?? log.info)(event, getFields(event, fields, level));
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
