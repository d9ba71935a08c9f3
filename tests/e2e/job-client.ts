import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { eventually } from "./processes.ts";

/** Fields of a job that the tests read (docs/apis/gpu-dev.md#read-jobs). */
export interface Job {
  readonly job_id: string;
  readonly name: string;
  readonly status: "queued" | "preparing" | "active" | "completed" | "expired" | "cancelled" | "failed";
  readonly status_reason: string | null;
  readonly instance_type: string;
  readonly duration_hours: number;
  readonly expires_at: string | null;
  readonly queue_position: number | null;
  readonly warning: string | null;
  readonly isolation: string | null;
  readonly limits: string | null;
  readonly jupyter_url: string | null;
  readonly jupyter_port: number | null;
  readonly jupyter_token: string | null;
  readonly actions: readonly { readonly action: string; readonly status: string; readonly error: string | null }[];
  readonly timeline: readonly TimelineEntry[];
}

interface TimelineEntry {
  readonly at: string;
  readonly status: Job["status"];
  readonly reason: string | null;
}

/** Fields of a disk that the tests read (docs/apis/gpu-dev.md#disks). */
export interface Disk {
  readonly disk_name: string;
  readonly is_deleted: boolean;
}

/** User of the GPU Dev API with a key. Every call throws unless it succeeds. */
export interface JobClient {
  submit(body: Readonly<Record<string, unknown>>): Promise<string>;
  get(id: string): Promise<Job>;
  list(): Promise<Job[]>;
  cancel(id: string): Promise<void>;
  extend(id: string, hours: number): Promise<void>;
  createDisk(name: string): Promise<void>;
  renameDisk(name: string, newName: string): Promise<void>;
  /** Both resolve with the id of the operation. */
  deleteDisk(name: string): Promise<string>;
  undeleteDisk(name: string): Promise<string>;
  /** Returns a disk, also if it is deleted; undefined if there is none of this name. */
  findDisk(name: string): Promise<Disk | undefined>;
  /** Reads an operation until it is `completed` or `failed`. Returns `gone` if it does not exist. */
  operationEnd(name: string, id: string, withinMs?: number): Promise<string>;
  /** Reads a job until the condition holds. */
  until(id: string, holds: (job: Job) => boolean, withinMs?: number): Promise<Job>;
  availability(): Promise<Record<string, { total: number; available: number; in_use: number; queued: number }>>;
}

export function jobClient(url: string, key: string): JobClient {
  const call = (method: string, path: string, body?: unknown) => callApi(url, key, { method, path, body });
  const get = async (id: string) => (await call("GET", `/v1/jobs/${id}`)) as Job;
  return {
    get,
    submit: async (body) => {
      const answer = await call("POST", "/v1/jobs/submit", { image: "pytorch/pytorch", ...body });
      return (answer as { job_id: string }).job_id;
    },
    list: async () => {
      const jobs: Job[] = [];
      for (let total = 1; jobs.length < total; ) {
        const page = (await call("GET", `/v1/jobs?limit=500&offset=${jobs.length}`)) as { jobs: Job[]; total: number };
        if (page.jobs.length === 0) break;
        jobs.push(...page.jobs);
        total = page.total;
      }
      return jobs;
    },
    cancel: async (id) => void (await call("POST", `/v1/jobs/${id}/cancel`)),
    extend: async (id, hours) => void (await call("POST", `/v1/jobs/${id}/extend`, { extension_hours: hours })),
    createDisk: async (name) => void (await call("POST", "/v1/disks", { disk_name: name })),
    renameDisk: async (name, newName) => void (await call("POST", `/v1/disks/${name}/rename`, { new_name: newName })),
    deleteDisk: async (name) => getOperation(await call("DELETE", `/v1/disks/${name}`)),
    undeleteDisk: async (name) => getOperation(await call("POST", `/v1/disks/${name}/undelete`)),
    findDisk: async (name) => (await unlessMissing(call("GET", `/v1/disks/${name}`))) as Disk | undefined,
    operationEnd: async (name, id, withinMs) => {
      const read = async () => {
        const found = await unlessMissing(call("GET", `/v1/disks/${name}/operations/${id}`));
        return found ? (found as { status: string }).status : "gone";
      };
      return eventually(read, (status) => ["completed", "failed", "gone"].includes(status), withinMs);
    },
    until: (id, holds, withinMs) => eventually(() => get(id), holds, withinMs),
    availability: async () => {
      const answer = await call("GET", "/v1/gpu/availability");
      return (answer as { availability: Awaited<ReturnType<JobClient["availability"]>> }).availability;
    },
  };
}

/** Logs in with one of the identities of `npm run env`, whose variables begin with `prefix`. */
export async function logIn(env: Readonly<Record<string, string>>, prefix = ""): Promise<Record<string, unknown>> {
  const { API_URL: url = "" } = env;
  const body = {
    aws_access_key_id: env[`${prefix}AWS_ACCESS_KEY_ID`],
    aws_secret_access_key: env[`${prefix}AWS_SECRET_ACCESS_KEY`],
    aws_session_token: env[`${prefix}AWS_SESSION_TOKEN`],
  };
  return (await callApi(url, undefined, { method: "POST", path: "/v1/auth/aws-login", body })) as Record<
    string,
    unknown
  >;
}

const ends: readonly Job["status"][] = ["completed", "expired", "cancelled", "failed"];

/** Reports whether a job has ended and nothing of it is left. */
export function isOver({ status, timeline }: Job): boolean {
  const gone = timeline.at(-1)?.reason === "All of it is removed";
  return ends.includes(status) && (gone || timeline.slice(0, -1).every((entry) => entry.status === "queued"));
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

export async function callApi(url: string, key: string | undefined, { method, path, body }: Call): Promise<unknown> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { "content-type": "application/json", ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error: unknown) => {
    throw new Error(`${method} ${path} was not answered: ${error}`, { cause: error });
  });
  const text = await response.text();
  if (!response.ok) throw new ApiError(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

function getOperation(answer: unknown): string {
  return (answer as { operation_id: string }).operation_id;
}

/** Returns the answer to a call; undefined after 404. */
export async function unlessMissing(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ApiError && /: 404 \{/.test(error.message)) return undefined;
    throw error;
  }
}

/** Answer other than success. Any other error of a call means that the API did not answer. */
export class ApiError extends Error {}
