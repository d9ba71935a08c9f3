import type * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { type OpenJupyter, openJupyter } from "#core/environments/record/changes/access.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { readAdvice } from "#core/pools/forecast/advice.ts";
import { openedJupyter } from "../../internal/lookup-cache.ts";
import { type Instance, toInstance } from "../schemas.ts";

/** Formats instances with their wait advice from one batch read. */
export async function showInstances(
  ctx: UserContext<"table" | "sealer">,
  instances: readonly Environment[],
): Promise<z.infer<typeof Instance>[]> {
  const advice = await readAdvice(ctx, instances);
  const shown = instances.map(async (instance) =>
    toInstance(instance, advice.get(instance.uid), await findJupyter(ctx, instance)),
  );
  return Promise.all(shown);
}

export async function showInstance(
  ctx: UserContext<"table" | "sealer">,
  instance: Environment,
): Promise<z.infer<typeof Instance>> {
  const [advice, jupyter] = await Promise.all([readAdvice(ctx, [instance]), findJupyter(ctx, instance)]);
  return toInstance(instance, advice.get(instance.uid), jupyter);
}

/** Returns the opened token and caches it until it changes, because opening one costs a call to the key service. */
async function findJupyter(ctx: UserContext<"sealer">, instance: Environment): Promise<OpenJupyter | undefined> {
  const {
    uid,
    phase,
    end: { outcome },
    access,
  } = instance;
  if (phase !== "active" || outcome || !access.jupyter?.origin) return undefined;
  const kept = openedJupyter(ctx.settings);
  const key = JSON.stringify([uid, access.jupyter.origin, access.jupyter.token]);
  const knownOpenJupyter = kept.get(key);
  if (knownOpenJupyter) return knownOpenJupyter;
  const opened = await openJupyter(ctx, instance);
  if (opened) kept.set(key, opened);
  return opened;
}
