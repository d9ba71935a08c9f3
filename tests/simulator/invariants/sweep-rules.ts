import type { Clock } from "#core/ports/clock.ts";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { SWEEP_REACH_MS } from "#core/reconciler/request-reconcile.ts";
import { keyOfText, kindOfKey, type SweepName, sweepKey } from "#core/store/keys.ts";

interface SweepPorts {
  readonly table: Table;
  readonly queue: Queue;
  readonly clock: Clock;
}

/** Difference between the hosts' clocks, plus the rounding of a delay to seconds. */
const INEXACT_MS = 4_000;

/** Checks that a sweep does not resend early what the previous sweep noted as sent. */
export function sweepRules(time: () => number, violations: string[]) {
  const noted = new Map<string, number>();
  return {
    portsOf<Ports extends SweepPorts>(ports: Ports): Ports {
      const before = new Map(noted);
      const table: Table = {
        ...ports.table,
        async put(item, options) {
          await ports.table.put(item, options);
          const { sentUpTo } = item as { sentUpTo?: unknown };
          const isRight = Math.abs(Number(sentUpTo) - time() - SWEEP_REACH_MS) < INEXACT_MS;
          if (isRight) noted.set(item.pk, Number(sentUpTo));
        },
      };
      const queue: Queue = {
        ...ports.queue,
        async send(name, message, options) {
          const delayMs = (options?.delaySeconds ?? 0) * 1000;
          const isRight = Math.abs(ports.clock.now() - time()) < INEXACT_MS;
          const at = time() + delayMs;
          if (isRight && delayMs > 0 && at < sentUpTo(before, name, message) - INEXACT_MS) {
            violations.push(`a sweep sent again that ${message.look} falls due`);
          }
          return ports.queue.send(name, message, options);
        },
      };
      return { ...ports, table, queue };
    },
  };
}

function sentUpTo(noted: ReadonlyMap<string, number>, queue: QueueName, message: ReconcileRequest): number {
  return noted.get(sweepKey(getSweep(queue, message)).pk) ?? Number.NEGATIVE_INFINITY;
}

function getSweep(queue: QueueName, { look: recordKey }: ReconcileRequest): SweepName {
  if (queue === "webhooks") return "webhooks";
  const key = keyOfText(recordKey);
  return key && kindOfKey(key) === "disk" ? "disks" : "environments";
}
