import * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { findIds } from "#core/environments/record/read.ts";
import { Problem } from "#core/problem.ts";

export const JobId = z
  .string()
  .describe(
    "The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them.",
  );

export const JobRef = z.object({ job_id: JobId.meta({ example: "9e41c7d3-5b00-4c1a-8000-0123456789ab" }) });

/**
 * Returns the id in a path: whole, or a prefix that matches one job in `find`, which holds the caller's
 * (docs/apis/gpu-dev.md#read-jobs). Throws `notFound` for no match and `conflict` for several.
 */
export async function findJobId(
  ctx: UserContext<"table">,
  { job_id }: z.infer<typeof JobRef>,
  find: (beginning: string) => Promise<string[]> = (beginning) => findIds(ctx, beginning),
): Promise<string> {
  if (form.test(job_id)) return job_id.toLowerCase();
  if (!isBeginning(job_id)) throw notFound(job_id);
  const [id, another] = await find(job_id.toLowerCase());
  if (another !== undefined)
    throw new Problem("conflict", `Job id '${job_id}' is ambiguous`, { errorCode: "ambiguous" });
  if (id === undefined) throw notFound(job_id);
  return id;
}

const form = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const LEAST = 4;
const anyId = "00000000-0000-0000-0000-000000000000";

function isBeginning(text: string): boolean {
  return text.length >= LEAST && text.length < anyId.length && form.test(text + anyId.slice(text.length));
}

function notFound(id: string): Problem {
  return new Problem("notFound", `Job ${id.slice(0, 100)} not found`);
}
