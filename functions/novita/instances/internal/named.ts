import type * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { findEnvironment, listEnvironments } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { Problem } from "#core/problem.ts";
import type { InstanceRef } from "../schemas.ts";

export async function getInstance(
  ctx: UserContext<"table">,
  { instanceId }: z.infer<typeof InstanceRef>,
): Promise<Environment> {
  const found = /^inst_[a-z0-9]{12}$/.test(instanceId) ? await findEnvironment(ctx, instanceId) : undefined;
  return found ?? unknown(instanceId);
}

/**
 * Returns the newest instance of this name that is not ending, because names are not unique
 * (docs/apis/novita.md#start-and-stop).
 */
export async function instanceNamed(ctx: UserContext<"table">, name: string): Promise<Environment> {
  const { shown } = await listEnvironments(ctx, { matches: ({ end }) => end.outcome === null });
  return shown.find((instance) => instance.name === name) ?? unknown(name);
}

function unknown(noun: string): never {
  throw new Problem("notFound", `Instance ${noun.slice(0, 100)} not found`, { code: "INSTANCE_NOT_FOUND" });
}
