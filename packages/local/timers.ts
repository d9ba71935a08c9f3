import { setTimeout as sleep } from "node:timers/promises";
import type { Context, PortName } from "#core/context.ts";
import { runSchedule, type Schedule } from "#http/cron.ts";
import type { Loop } from "./loops.ts";

export interface TimerOptions {
  readonly name: string;
  readonly ctx: Context<PortName>;
}

/**
 * Runs a schedule at once and then repeatedly, without overlap. A minute of a schedule lasts SWEEP_SECONDS here. The
 * first run is immediate because much may be due after days off.
 */
export function startTimer(schedule: Schedule, { name, ctx }: TimerOptions): Loop {
  const aborted = new AbortController();
  const running = repeat(schedule, { name, ctx }, aborted.signal);
  return {
    async stop() {
      aborted.abort();
      await running;
    },
  };
}

async function repeat(schedule: Schedule, { name, ctx }: TimerOptions, signal: AbortSignal): Promise<void> {
  const everyMs = schedule.minutes * ctx.settings.sweepSeconds * 1000;
  while (!signal.aborted) {
    const startedAt = ctx.clock.monotonic();
    await runSchedule(schedule, ctx, name, signal);
    const rest = Math.max(0, everyMs - (ctx.clock.monotonic() - startedAt));
    await sleep(rest, undefined, { signal }).catch(() => undefined);
  }
}
