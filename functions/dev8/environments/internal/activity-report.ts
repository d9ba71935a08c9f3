import * as z from "zod";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";

/**
 * The body of an activity report. The document does not print it, so each key may be missing
 * (docs/apis/dev8.md#activity).
 */
export const ActivityReport = z
  .object({
    environmentId: z.string().nullish().describe("The workspace's id."),
    snapshot: z
      .object(
        {
          lastIDEActivity: moment("lastIDEActivity").describe("When VS Code was last used."),
          lastSSHActivity: moment("lastSSHActivity").describe("When SSH was last used."),
          activeIDEConnections: count("activeIDEConnections").describe("Number of open VS Code connections."),
          activeSSHConnections: count("activeSSHConnections").describe("Number of open SSH connections."),
        },
        "snapshot must be an object",
      )
      .meta({ id: "ReportedActivity" })
      .nullish()
      .describe("What the client observed."),
    timestamp: moment("timestamp").describe("When the client observed this."),
  })
  .meta({ id: "EnvironmentActivity" });

/** The snapshot of a report. Its times are never in the future. */
export const Snapshot = z
  .object({
    lastIDEActivity: Timestamp.optional().describe("When VS Code was last used."),
    lastSSHActivity: Timestamp.optional().describe("When SSH was last used."),
    activeIDEConnections: z.int().optional().describe("Number of open VS Code connections."),
    activeSSHConnections: z.int().optional().describe("Number of open SSH connections."),
  })
  .meta({ id: "RecordedActivity" });

export interface Report {
  readonly snapshot: z.infer<typeof Snapshot>;
  readonly timestamp: string;
  readonly lastUsedAt: number | undefined;
}

export function toReport({ snapshot, timestamp }: z.infer<typeof ActivityReport>, now: number): Report {
  const reportedAt = findTime(timestamp, now) ?? now;
  const [ide, ssh] = [findTime(snapshot?.lastIDEActivity, now), findTime(snapshot?.lastSSHActivity, now)];
  const counts = [snapshot?.activeIDEConnections, snapshot?.activeSSHConnections].filter(isGiven);
  const times = [ide, ssh].filter(isGiven);
  const isInUse = counts.some((connections) => connections > 0) || counts.length + times.length === 0;
  const uses = isInUse ? [...times, reportedAt] : times;
  return {
    snapshot: {
      ...(isGiven(ide) && { lastIDEActivity: wholeSeconds(ide) }),
      ...(isGiven(ssh) && { lastSSHActivity: wholeSeconds(ssh) }),
      ...(isGiven(snapshot?.activeIDEConnections) && { activeIDEConnections: snapshot.activeIDEConnections }),
      ...(isGiven(snapshot?.activeSSHConnections) && { activeSSHConnections: snapshot.activeSSHConnections }),
    },
    timestamp: wholeSeconds(reportedAt),
    lastUsedAt: uses.length > 0 ? Math.max(...uses) : undefined,
  };
}

function moment(name: string) {
  return z.iso.datetime({ offset: true, error: `${name} must be an RFC 3339 timestamp` }).nullish();
}

function count(name: string) {
  const message = `${name} must be a whole number from 0`;
  return z.int(message).min(0, message).nullish();
}

function findTime(text: string | null | undefined, now: number): number | undefined {
  return isGiven(text) ? Math.min(Date.parse(text), now) : undefined;
}

function isGiven<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}
