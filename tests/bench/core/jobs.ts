import { type LocalStack, type LogLine, until } from "../server/local-stack.ts";

/** A job of this size fills a node of this type. */
export const wholeNode = { type: "p5.48xlarge", pool: "h100", gpus: 8 } as const;

/** Submits a job that runs until it is cancelled, unless `more` says otherwise. Returns its id. */
export async function submitJob(stack: LocalStack, gpus: number, more: object = {}): Promise<string> {
  const job = { image: "ubuntu", instance_type: wholeNode.type, gpu_count: gpus, duration_hours: 1, ...more };
  const { job_id } = await stack.call<{ job_id: string }>("POST", "/v1/jobs/submit", job);
  return job_id;
}

export async function cancelJob(stack: LocalStack, id: string): Promise<void> {
  await stack.call("POST", `/v1/jobs/${id}/cancel`);
}

export async function untilActive(stack: LocalStack, id: string, patienceMs?: number): Promise<void> {
  await untilStatus(stack, id, ["active"], patienceMs);
}

export function untilOver(stack: LocalStack, id: string, patienceMs?: number): Promise<string> {
  return untilStatus(stack, id, ["completed", "failed", "expired", "cancelled"], patienceMs);
}

function untilStatus(stack: LocalStack, id: string, wanted: readonly string[], patienceMs?: number): Promise<string> {
  return until(async () => {
    const { status } = await stack.call<{ status: string }>("GET", `/v1/jobs/${id}`);
    return wanted.includes(status) ? status : undefined;
  }, patienceMs);
}

/** Returns the first log line after `from` of a reconcile that did this. */
export function findLogLine(stack: LocalStack, did: string, from: number): Promise<LogLine> {
  return until(() => stack.lines.slice(from).find((line) => line.event === "look" && line.did === did));
}

export function parseTime(line: LogLine): number {
  return Date.parse(line.time);
}
