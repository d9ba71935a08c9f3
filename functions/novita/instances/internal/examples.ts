const id = "inst_9k2m4p7q1x3z";

const instance = {
  id,
  instanceId: id,
  name: "my-instance",
  status: "ready",
  statusReason: null,
  productName: "RTX 4090 24GB",
  templateId: "pytorch-jupyter",
  gpuNum: 1,
  rootfsSize: 60,
  region: "CN-HK-01",
  portMappings: [{ port: 8888, endpoint: "https://inst-9k2m4p7q1x3z-8888.berth.example", type: "http" }],
  connectionDetails: {
    ssh: "ssh -p 30123 inst_9k2m4p7q1x3z@10.0.1.42",
    jupyter: "https://inst-9k2m4p7q1x3z-8888.berth.example",
    webTerminal: null,
  },
  createdAt: "2026-01-20T18:00:00.000Z",
  startedAt: "2026-01-20T18:00:05.000Z",
  readyAt: "2026-01-20T18:01:00.000Z",
  lastUsedAt: "2026-01-20T18:05:00.000Z",
  stoppedAt: null,
  autoStop: {
    verdict: "keep",
    signal: "ssh",
    idleSince: "2026-01-20T18:05:00.000Z",
    checkedAt: "2026-01-20T18:06:00.000Z",
    dryRun: false,
  },
};

const operation = {
  instanceId: id,
  novitaInstanceId: id,
  operationId: "op_4f7h2k9m1p3q",
};

const started = {
  ...operation,
  status: "starting",
  message: "Instance start initiated successfully",
  estimatedReadyTime: "2026-01-20T18:05:00.000Z",
};

const stopped = { ...operation, status: "stopping", message: "Instance stop initiated successfully" };

export const createExamples = {
  requests: {
    "A GPU with PyTorch and Jupyter": {
      name: "my-instance",
      productName: "RTX 4090 24GB",
      templateId: "pytorch-jupyter",
    },
    "One that tells a receiver": {
      name: "my-gpu-instance",
      productName: "RTX 4090 24GB",
      templateId: "pytorch-jupyter",
      webhookUrl: "https://your-app.com/webhook",
    },
  },
  201: {
    "On its way": {
      instanceId: id,
      status: "creating",
      message: "Instance creation initiated successfully",
      estimatedReadyTime: "2026-01-20T18:05:00.000Z",
    },
  },
};

export const listExamples = {
  200: { "One instance": { instances: [instance], total: 1 } },
};

export const getExamples = {
  200: { "It is ready": instance },
};

export const startExamples = {
  requests: { "As it was": {} },
  202: { "On its way": started },
};

export const startByNameExamples = {
  requests: { "By its name": { instanceName: "my-instance" } },
  202: { "On its way": started },
};

export const stopExamples = {
  requests: { "Without further words": {} },
  200: { Stopping: stopped },
};

export const stopByNameExamples = {
  requests: { "By its name": { instanceName: "my-instance" } },
  200: { Stopping: stopped },
};

export const lastUsedExamples = {
  requests: { Now: {}, "At that time": { lastUsedAt: "2026-01-20T18:05:00Z" } },
  200: {
    Noted: {
      instanceId: id,
      lastUsedAt: "2026-01-20T18:05:00.000Z",
      message: "Last used time updated successfully",
    },
  },
};

export const deleteExamples = {
  200: { Deleted: { instanceId: id, status: "deleted", message: "Instance deleted successfully" } },
};

export const autoStopStatsExamples = {
  200: {
    "One was stopped": {
      schedulerRunning: true,
      checkIntervalMinutes: 5,
      defaultInactivityThresholdMinutes: 20,
      lastCheckAt: "2026-01-20T18:05:00.000Z",
      instancesChecked: 3,
      instancesStopped: 1,
    },
  },
};
