import type { NounDocument } from "#http/noun-document.ts";
import { Instance } from "../wire.ts";
import { StartInstance } from "./start-instance.ts";

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

const notStartable = { 409: "It is being stopped or deleted" };

export const document: NounDocument = {
  tag: "Instances",
  schemas: {
    Instance,
    InstanceStatus: Instance.shape.status,
    PortMapping: Instance.shape.portMappings.element,
    ConnectionDetails: Instance.shape.connectionDetails.unwrap(),
    AutoStop: Instance.shape.autoStop.unwrap(),
    HealthCheck: StartInstance.shape.healthCheckConfig.unwrap(),
  },
  fields: {
    id: "The instance's id.",
    instanceId: "The instance's id.",
    name: "The instance's name. Two instances may have the same one.",
    instanceName: "The instance's name. Of several, the newest that is not being deleted is meant.",
    productName: "The product of the catalogue: the kind of machine.",
    templateId: "The template of the catalogue: what is installed. A number is taken as text.",
    webhookUrl: "The URL that receives each step of the instance, in the order of `sequence`. No answer ever shows it.",
    gpuNum: "Number of GPUs.",
    rootfsSize: "Size in GB of the storage at `/workspace`.",
    region: "The region of the catalogue, a label.",
    githubUser: "The GitHub user whose SSH keys may log in.",
    status: "The instance's current state.",
    statusReason: "Why the instance is in this state, in words; null where there is nothing to add.",
    portMappings: "How the instance's ports are reached; empty unless it is ready.",
    port: "The port inside the instance.",
    endpoint: "The address from outside.",
    type: "`http` for web pages, `tcp` for everything else.",
    connectionDetails: "How to connect; null unless the instance is ready.",
    ssh: "A command that works.",
    jupyter: "The address of Jupyter.",
    webTerminal: "Always null: there is none.",
    startedAt: "When the latest run began.",
    readyAt: "When the latest run was ready.",
    lastUsedAt: "When the instance was last used.",
    stoppedAt: "When the instance was stopped.",
    autoStop: "The latest decision about stopping the idle instance; null before the first.",
    verdict: "Whether the instance is kept or stopped.",
    signal: "The signal that decided.",
    idleSince: "Since when the instance is unused.",
    checkedAt: "When the decision was made.",
    dryRun: "Whether the decision is only recorded and not carried out.",
    estimatedReadyTime:
      "When the instance is expected to be ready, or was. `message` says where its run fails before that.",
    targetPort: "A further port that must answer before the instance is ready.",
    healthCheckConfig: "How the ports of this run are probed.",
    timeoutMs: "Time limit of one probe in milliseconds.",
    retryAttempts: "Number of further probes after a failed one.",
    retryDelayMs: "Pause between two probes in milliseconds.",
    maxWaitTimeMs: "Time limit in milliseconds for the run to become ready.",
    novitaInstanceId: "Same as `instanceId`.",
    operationId: "The id of the start or stop. A repeated request gets the same one.",
    instances: "Your instances, newest first.",
    schedulerRunning: "Whether every instance is checked in time.",
    checkIntervalMinutes: "Minutes between two checks.",
    defaultInactivityThresholdMinutes: "Minutes without use after which an instance is stopped.",
    lastCheckAt: "When one of your instances was last checked; null before the first check.",
    instancesChecked: "Number of instances checked in the latest interval.",
    instancesStopped: "Number of those that were stopped.",
  },
  operations: {
    create: {
      id: "createInstance",
      body: "CreateInstance",
      reply: "InstanceCreated",
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
      replies: {
        201: {
          examples: {
            "On its way": {
              instanceId: id,
              status: "creating",
              message: "Instance creation initiated successfully",
              estimatedReadyTime: "2026-01-20T18:05:00.000Z",
            },
          },
        },
      },
    },
    list: {
      id: "listInstances",
      reply: "InstanceList",
      replies: { 200: { examples: { "One instance": { instances: [instance], total: 1 } } } },
    },
    get: { id: "getInstance", replies: { 200: { examples: { "It is ready": instance } } } },
    start: {
      id: "startInstance",
      body: "StartInstance",
      reply: "StartOperation",
      requests: { "As it was": {} },
      replies: { 202: { examples: { "On its way": started } } },
      problems: notStartable,
    },
    "start-by-name": {
      id: "startInstanceByName",
      body: "StartInstanceByName",
      reply: "StartOperation",
      requests: { "By its name": { instanceName: "my-instance" } },
      replies: { 202: { examples: { "On its way": started } } },
      problems: { 404: "You have no instance of this name", ...notStartable },
    },
    stop: {
      id: "stopInstance",
      body: "StopInstance",
      reply: "StopOperation",
      requests: { "Without further words": {} },
      replies: { 200: { examples: { Stopping: stopped } } },
    },
    "stop-by-name": {
      id: "stopInstanceByName",
      body: "StopInstanceByName",
      reply: "StopOperation",
      requests: { "By its name": { instanceName: "my-instance" } },
      replies: { 200: { examples: { Stopping: stopped } } },
      problems: { 404: "You have no instance of this name" },
    },
    "last-used": {
      id: "markInstanceUsed",
      body: "MarkInstanceUsed",
      reply: "InstanceUsed",
      requests: { Now: {}, "At that time": { lastUsedAt: "2026-01-20T18:05:00Z" } },
      replies: {
        200: {
          examples: {
            Noted: {
              instanceId: id,
              lastUsedAt: "2026-01-20T18:05:00.000Z",
              message: "Last used time updated successfully",
            },
          },
        },
      },
    },
    delete: {
      id: "deleteInstance",
      description: "Waits for at most 25 seconds until everything is gone.",
      reply: "InstanceDeleted",
      replies: {
        200: { examples: { Deleted: { instanceId: id, status: "deleted", message: "Instance deleted successfully" } } },
      },
    },
    "auto-stop-stats": {
      id: "getAutoStopStats",
      reply: "AutoStopStats",
      replies: {
        200: {
          examples: {
            "One was stopped": {
              schedulerRunning: true,
              checkIntervalMinutes: 5,
              defaultInactivityThresholdMinutes: 20,
              lastCheckAt: "2026-01-20T18:05:00.000Z",
              instancesChecked: 3,
              instancesStopped: 1,
            },
          },
        },
      },
    },
  },
};
