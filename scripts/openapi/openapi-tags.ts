interface TagParts {
  readonly description: string;
  readonly operations: readonly string[];
}

/** Groups of operations and their operation ids, both in reading order for a newcomer. */
export const tags = {
  Login: { description: "Exchange the AWS identity that you already have for an API key.", operations: ["login"] },
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
    description: "What GPUs there are, and how many of them are free.",
    operations: ["getClusterStatus", "getAvailability"],
  },
  Keys: { description: "The API keys that you have.", operations: ["listKeys", "rotateKey", "revokeKey", "getMe"] },
  Webhooks: {
    description: "What your receivers were told, and how they took it.",
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
    description: "VS Code sessions (session-manager): created, put to sleep, woken, talked to.",
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
    description: "What is kept of deleted VS Code sessions.",
    operations: ["listIdeBackups", "downloadIdeBackup"],
  },
  Instances: {
    description: "GPU instances (novita) of a product and a template, which stop when nobody uses them.",
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
    description: "Development environments (dev8) under ids of your own choice, which keep their volumes.",
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
    description: "For operators alone: to everybody else these paths are 404.",
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
      "endRecord",
    ],
  },
  Health: {
    description: "Whether Berth is well, and these pages.",
    operations: ["getInfo", "getHealth", "getReadiness", "getLiveness", "getDiscovery"],
  },
} as const satisfies Record<string, TagParts>;

export type Tag = keyof typeof tags;
