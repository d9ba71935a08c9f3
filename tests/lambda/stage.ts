import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { type Resource, synthesize } from "../synthesis/synthesize.ts";

export const functions = functionsFile as FunctionsFile;

/** On a machine that does much else, of a minute. */
export const LONG_MS = 600_000;

/** Where receivers of webhooks are. No deployment dials its own machine: this name leads there in its network alone. */
export const RECEIVER_HOST = "hooks.internal";

/** Synthesizes the stage of these tests, which admits the users of the catalog. */
export function synthesizeStage(): Promise<Resource[]> {
  return synthesize("lambda", {
    DOMAIN: "berth.dev",
    ALLOWED_ACCOUNTS: "000000000000",
    ALLOWED_ROLES: "SSOCloudDevGpuReservation",
    ADMIN_USERS: "operator",
    EKS_CLUSTER: "gpus",
    LOGIN_SERVER_ID: "berth.dev",
    WEBHOOK_ALLOW: RECEIVER_HOST,
    ALARM_EMAIL: "oncall@berth.dev",
  });
}
