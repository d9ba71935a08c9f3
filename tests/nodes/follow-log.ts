import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { streamedLogs } from "#kubernetes/exec/streamed-logs.ts";
import { buildPaths } from "#kubernetes/paths.ts";
import type { DriverFixture } from "./driver-fixture.ts";

type Holds = (text: string) => boolean | Promise<boolean>;

/** Longer than a test. */
const LONGEST_MS = 600_000;

/**
 * Follows the log of a run from its beginning, as `berth logs -f` does. Each call of the returned function reads on until
 * the condition holds, and returns the log so far. It fails if bytes are missing or come twice.
 */
export function followLog({ computeOptions }: DriverFixture, { uid }: Run): (holds: Holds) => Promise<Buffer> {
  const { client, namespace, deployment } = computeOptions;
  const place = { client, paths: buildPaths(namespace), deployment };
  const logs = streamedLogs(place, { client, openedWithinMs: LONGEST_MS });
  let bytes = Buffer.alloc(0);
  return async (holds) => {
    while (!(await holds(bytes.toString()))) {
      const part = await logs.read(uid, 1, bytes.length, undefined);
      if (!part) {
        await sleep(50);
        continue;
      }
      expect(part.start).toBe(bytes.length);
      bytes = Buffer.concat([bytes, part.bytes]);
      if (part.bytes.length === 0) await logs.waitFor(uid, 1, bytes.length, 1_000);
    }
    return bytes;
  };
}
