import type { UserContext } from "#core/context.ts";
import { findIds } from "#core/environments/record/read.ts";
import { Problem } from "#core/problem.ts";

interface InPath {
  readonly job_id: string;
}

/**
 * The id that a path names: whole, or by a part from its beginning that fits one of the caller's jobs
 * (docs/apis/gpu-dev.md#read-jobs). Throws `notFound` for what fits none, `conflict` for what fits several.
 */
export async function findJobId(ctx: UserContext<"table">, params: InPath): Promise<string> {
  const { job_id } = params;
  if (!isBeginning(job_id)) return wholeJobId(params);
  const [id, another] = await findIds(ctx, job_id.toLowerCase());
  if (another !== undefined) throw new Problem("conflict", `Job id '${job_id}' is ambiguous`);
  if (id === undefined) throw notFound(job_id);
  return id;
}

/** The same for whoever asks about jobs that are not theirs; what has not the form of an id is no job. */
export function wholeJobId({ job_id }: InPath): string {
  if (form.test(job_id)) return job_id.toLowerCase();
  throw notFound(job_id);
}

const form = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const LEAST = 8;
const anyId = "00000000-0000-0000-0000-000000000000";

function isBeginning(text: string): boolean {
  return text.length >= LEAST && text.length < anyId.length && form.test(text + anyId.slice(text.length));
}

function notFound(id: string): Problem {
  return new Problem("notFound", `Job ${id.slice(0, 100)} not found`);
}
