export {
  type Availability,
  Berth,
  type BerthOptions,
  type ClusterStatus,
  type Discovery,
  type EnvironmentSummary,
  type GpuCapacity,
  type Me,
} from "./berth.ts";
export type { Disk, DiskOperation, DiskRequested, Snapshot } from "./disks.ts";
export {
  ActionFailedError,
  AmbiguousError,
  BerthError,
  ConflictError,
  type ErrorCode,
  InternalError,
  InvalidError,
  KeyError,
  LimitError,
  NotFoundError,
  RateError,
  UnavailableError,
  UnreachableError,
  UnreadableAnswerError,
  UserDisabledError,
  WaitTimeoutError,
} from "./errors.ts";
export type {
  Job,
  JobAction,
  JobActionRequested,
  JobEstimate,
  JobStatus,
  JobSummary,
  JobTerminalTicket,
  SubmitJob,
  SubmittedJob,
} from "./jobs.ts";
export type { Key } from "./keys.ts";
export type { WebCode, WebSession } from "./web.ts";
export type { WebhookDelivery } from "./webhooks.ts";
