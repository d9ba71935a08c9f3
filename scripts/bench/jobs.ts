import { type LocalStack, type LogLine, until } from "./local-stack.ts";

/** One node of this type is filled by one whole job. */
export const wholeNode = { type: "p5.48xlarge", pool: "h100", gpus: 8 } as const;

/** Submits a job that lives until it is cancelled; answers its id. */
export async function submitJob(stack: LocalStack, gpus: number): Promise<string> {
  const size = { instance_type: wholeNode.type, gpu_count: gpus, duration_hours: 1 };
  const { job_id } = await stack.call<{ job_id: string }>("POST", "/v1/jobs/submit", { image: "ubuntu", ...size });
  return job_id;
}

export async function cancelJob(stack: LocalStack, id: string): Promise<void> {
  await stack.call("POST", `/v1/jobs/${id}/cancel`);
}

export async function untilActive(stack: LocalStack, id: string): Promise<void> {
  await until(async () => {
    const { status } = await stack.call<{ status: string }>("GET", `/v1/jobs/${id}`);
    return status === "active" ? true : undefined;
  });
}

/** The first look of any job that did this, among the lines after the first so many. */
export function lookThat(stack: LocalStack, did: string, from: number): Promise<LogLine> {
  return until(() => stack.lines.slice(from).find((line) => line.event === "look" && line.did === did));
}

export function timeOf(line: LogLine): number {
  return Date.parse(line.time);
}
