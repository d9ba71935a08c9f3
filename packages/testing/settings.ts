import type { ServedSettings } from "#http/dialects/settings.ts";

/** The defaults of the local stack, for tests; any of them may be replaced. */
export function testSettings(overrides: Partial<ServedSettings> = {}): ServedSettings {
  return {
    allowedRoles: ["SSOCloudDevGpuReservation"],
    allowedAccounts: ["000000000000"],
    keyTtlHours: 2,
    keyChainHours: 12,
    keyOverlapSeconds: 60,
    loginServerId: "berth-local",
    stsOrigins: ["https://sts.amazonaws.com"],
    minDurationHours: 0.083,
    maxDurationHours: 72,
    maxTotalHours: 168,
    maxQueueHours: 48,
    maxWaitingPerUser: 1_000,
    preparingMinutes: 30,
    nodeGroups: [],
    sweepSeconds: 60,
    diskRetentionDays: 30,
    adminUsers: [],
    adminRoles: [],
    domain: "preview.localhost",
    scheme: "http",
    webhookSecret: undefined,
    sessionImage: "codercom/code-server:latest",
    sessionBackup: true,
    regions: ["centralindia", "eastus"],
    workspaceImage: "codercom/code-server:latest",
    catalogueFile: undefined,
    messagePath: "/chat",
    execCapSeconds: 110,
    idleGpuMinutes: undefined,
    idleDryRun: false,
    open: false,
    ...overrides,
  };
}
