import type { Log } from "#core/ports/log.ts";

/** The same log with some fields on every line. */
export function boundLog(log: Log, bound: Readonly<Record<string, unknown>>): Log {
  return {
    info: (event, fields) => log.info(event, { ...bound, ...fields }),
    warn: (event, fields) => log.warn(event, { ...bound, ...fields }),
    error: (event, fields) => log.error(event, { ...bound, ...fields }),
  };
}
