import type { Context, PortName } from "#core/context.ts";

export interface Schedule<Uses extends PortName = PortName> {
  readonly kind: "schedule";
  readonly minutes: number;
  readonly atStart: boolean;
  readonly uses: readonly Uses[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  /** A long run must end soon after the signal. */
  readonly verb: (ctx: Context<PortName>, signal: AbortSignal) => Promise<unknown>;
}

interface ScheduleOptions<Uses extends PortName> {
  readonly minutes: number;
  readonly atStart?: boolean;
  readonly uses: readonly Uses[];
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
}

/** `cron.every({ minutes: 1, uses: […] }, verb)`. The verb may run late, twice, or not at all. */
export const cron = { every };

/**
 * Runs a schedule once and returns whether it succeeded. Logs errors instead of throwing them, because the schedule
 * runs again anyway.
 */
export async function runSchedule<Uses extends PortName>(
  schedule: Schedule<Uses>,
  ctx: Context<Uses>,
  name: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<boolean> {
  try {
    await schedule.verb(withAllPorts(ctx), signal);
    return true;
  } catch (error) {
    const described = error instanceof Error ? (error.stack ?? error.message) : String(error);
    ctx.log.error("schedule failed", { schedule: name, error: described });
    return false;
  }
}

function every<Uses extends PortName = never>(
  { minutes, atStart = false, uses, timeoutSeconds = 50, memoryMb = 512 }: ScheduleOptions<Uses>,
  verb: (ctx: Context<Uses>, signal: AbortSignal) => Promise<unknown>,
): Schedule<Uses> {
  return { kind: "schedule", minutes, atStart, uses, timeoutSeconds, memoryMb, verb };
}

/** Sound because a schedule's type admits only verbs that use the ports in `Uses`. */
function withAllPorts<Uses extends PortName>(ctx: Context<Uses>): Context<PortName> {
  return ctx as unknown as Context<PortName>;
}
