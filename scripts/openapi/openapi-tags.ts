interface TagParts {
  readonly description: string;
  readonly operations: readonly string[];
}

/** Groups of operations and their operation ids, both in reading order for a newcomer. */
export const tags = {
  Login: { description: "Exchange your AWS identity for an API key.", operations: ["login"] },
  Jobs: {
    description: "Submit a job, watch it, reach it, extend it, cancel it.",
    operations: [
      "submitJob",
      "estimateJob",
      "getJob",
      "listJobs",
      "getJobLogs",
      "extendJob",
      "enableJupyter",
      "disableJupyter",
      "addJobUser",
      "openJobTerminal",
      "listAllEnvironments",
      "cancelJob",
    ],
  },
  Disks: {
    description: "Named disks, which outlive the jobs that use them.",
    operations: [
      "createDisk",
      "listDisks",
      "getDisk",
      "deleteDisk",
      "getDiskContent",
      "renameDisk",
      "listDiskSnapshots",
      "createDiskSnapshot",
      "restoreDisk",
      "undeleteDisk",
      "getDiskOperation",
    ],
  },
  Capacity: {
    description: "All GPUs, and the free ones.",
    operations: ["getClusterStatus", "getAvailability"],
  },
  Keys: { description: "Your API keys.", operations: ["listKeys", "rotateKey", "revokeKey", "getMe"] },
  Browser: {
    description: "How a browser logs in, by a code of the command line.",
    operations: ["createWebCode", "showWebCode", "openWebSession", "closeWebSession"],
  },
  Webhooks: {
    description: "Deliveries to your receivers, with their results.",
    operations: ["listWebhookDeliveries", "resendWebhookDelivery"],
  },
  Sessions: {
    description: "Sessions (onmemos): a small machine with a template, and commands that run in it to their end.",
    operations: [
      "createSession",
      "listSessions",
      "getSession",
      "deleteSession",
      "executeInSession",
      "getSessionConnection",
    ],
  },
  Workspaces: {
    description: "Workspaces (onmemos, the older family): the same machines with further keys, and a web shell.",
    operations: [
      "createWorkspace",
      "listWorkspaces",
      "getWorkspace",
      "deleteWorkspace",
      "executeInWorkspace",
      "runShellInWorkspace",
      "runPythonInWorkspace",
      "openWorkspaceShell",
    ],
  },
  "IDE sessions": {
    description: "VS Code sessions (session-manager): create, sleep, wake, chat.",
    operations: [
      "createIdeSession",
      "listIdeSessions",
      "getIdeSession",
      "deleteIdeSession",
      "getIdeSessionStatus",
      "chatWithIdeSession",
      "getIdeSessionMessage",
      "sleepIdeSession",
      "wakeIdeSession",
      "scaleIdeSession",
    ],
  },
  "IDE backups": {
    description: "The archives of deleted VS Code sessions.",
    operations: ["listIdeBackups", "downloadIdeBackup"],
  },
  Instances: {
    description: "GPU instances (novita) of a product and a template, which stop when they are idle.",
    operations: [
      "createInstance",
      "listInstances",
      "getInstance",
      "deleteInstance",
      "startInstance",
      "startInstanceByName",
      "stopInstance",
      "stopInstanceByName",
      "markInstanceUsed",
      "getAutoStopStats",
    ],
  },
  "Instance statistics": {
    description: "Numbers about the instances and the process that answers (novita).",
    operations: ["getMetrics", "getCacheStats"],
  },
  Environments: {
    description: "Development environments (dev8) under ids that you choose. They keep their volumes.",
    operations: [
      "createEnvironment",
      "listEnvironments",
      "deleteEnvironment",
      "getEnvironment",
      "startEnvironment",
      "stopEnvironment",
      "reportEnvironmentActivity",
    ],
  },
  Admin: {
    description: "Only for operators; for other users these paths are 404.",
    operations: [
      "listAllJobs",
      "cancelAnyJob",
      "listAudit",
      "listOrphans",
      "showAdminState",
      "drainGpuType",
      "undrainGpuType",
      "pauseAdmission",
      "resumeAdmission",
      "disableUser",
      "enableUser",
      "declareNodeGone",
      "returnNode",
      "listNodes",
      "listPools",
      "listUsers",
      "listAllWebhookDeliveries",
      "endRecord",
    ],
  },
  Health: {
    description: "The health of Berth, and its documentation.",
    operations: ["getInfo", "getHealth", "getReadiness", "getLiveness", "getDiscovery"],
  },
} as const satisfies Record<string, TagParts>;

export type Tag = keyof typeof tags;
