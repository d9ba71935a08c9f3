import type { Config } from "#aws/settings/config.ts";
import type { Log } from "#core/ports/log.ts";

/** Drops log lines below this level. A plan or a sweep that found nothing to do counts as `debug`. */
export function atLevel(log: Log, level: Config["LOG_LEVEL"]): Log {
  const least = levels.indexOf(level);
  return {
    info: (event, fields) => {
      const isDebug = isIdle(event, fields);
      if (least > levels.indexOf(isDebug ? "debug" : "info")) return;
      if (isDebug && log.debug) log.debug(event, fields);
      else log.info(event, fields);
    },
    warn: (event, fields) => {
      if (least <= levels.indexOf("warn")) log.warn(event, fields);
    },
    error: log.error,
  };
}

const levels = ["debug", "info", "warn", "error"] as const satisfies readonly Config["LOG_LEVEL"][];

function isIdle(event: string, fields: Readonly<Record<string, unknown>> = {}): boolean {
  return counts[event]?.every((name) => fields[name] === 0) ?? false;
}

/** Fields by event: if all of them are 0, nothing was done. */
const counts: Readonly<Record<string, readonly string[]>> = {
  plan: ["granted", "held", "waiting"],
  sweep: ["sent"],
};
