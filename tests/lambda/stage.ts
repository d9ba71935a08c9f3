import functionsFile from "../../functions.json" with { type: "json" };
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { stageSettings } from "../synthesis/stage-settings.ts";
import { type Resource, synthesize } from "../synthesis/synthesize.ts";

export const functions = functionsFile as FunctionsFile;

/** Enough for a busy machine. An idle one needs a minute. */
export const LONG_MS = 600_000;

/**
 * Host of webhook receivers that only the functions' network resolves, because Berth sends nothing to loopback
 * addresses.
 */
export const RECEIVER_HOST = "hooks.internal";

/** Synthesizes the stage of these tests, which admits the catalog's users. */
export function synthesizeStage(sshHostKeys: string = stageSettings.SSH_HOST_KEYS): Promise<Resource[]> {
  return synthesize("lambda", {
    DOMAIN: "berth.dev",
    ALLOWED_ACCOUNTS: "000000000000",
    ALLOWED_ROLES: "SSOCloudDevGpuReservation",
    ADMIN_USERS: "operator",
    EKS_CLUSTER: "gpus",
    LOGIN_SERVER_ID: "berth.dev",
    WEBHOOK_ALLOW: RECEIVER_HOST,
    ALARM_EMAIL: "oncall@berth.dev",
    ACCESS: "gateway",
    SSH_HOST_KEYS: sshHostKeys,
  });
}
