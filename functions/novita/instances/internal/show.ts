import type * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { LOST_TOKEN, type OpenJupyter, openJupyter } from "#core/environments/record/changes/access.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { readAdvice, type WaitAdvice } from "#core/pools/forecast/advice.ts";
import { reasonText } from "#core/pools/plan/reasons.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { openedJupyter } from "../../internal/lookup-cache.ts";
import { findShutPorts, type Instance, toConnection, toStatus, type Ways } from "../schemas.ts";

/** Formats instances with their wait advice from one batch read. */
export async function showInstances(
  ctx: UserContext<"table" | "sealer">,
  instances: readonly Environment[],
): Promise<z.infer<typeof Instance>[]> {
  const advice = await readAdvice(ctx, instances);
  const shown = instances.map(async (instance) =>
    toInstance(instance, advice.get(instance.uid), {
      jupyter: await findJupyter(ctx, instance),
      settings: ctx.settings,
    }),
  );
  return Promise.all(shown);
}

export async function showInstance(
  ctx: UserContext<"table" | "sealer">,
  instance: Environment,
): Promise<z.infer<typeof Instance>> {
  const [advice, jupyter] = await Promise.all([readAdvice(ctx, [instance]), findJupyter(ctx, instance)]);
  return toInstance(instance, advice.get(instance.uid), { jupyter, settings: ctx.settings });
}

/** Returns the opened token and caches it until it changes, because opening one costs a call to the key service. */
async function findJupyter(ctx: UserContext<"sealer">, instance: Environment): Promise<OpenJupyter | undefined> {
  const {
    uid,
    phase,
    end: { outcome },
    access,
    addressLabel,
  } = instance;
  if (phase !== "active" || outcome || !access.jupyter?.origin) return undefined;
  const kept = openedJupyter(ctx.settings);
  const key = JSON.stringify([uid, access.jupyter.origin, access.jupyter.token, addressLabel]);
  const knownOpenJupyter = kept.get(key);
  if (knownOpenJupyter) return knownOpenJupyter;
  const opened = await openJupyter(ctx, instance);
  if (opened) kept.set(key, opened);
  return opened;
}

function toInstance(instance: Environment, advice: WaitAdvice | undefined, ways: Ways): z.infer<typeof Instance> {
  const { id, name, labels } = instance;
  const status = toStatus(instance);
  const lost = ways.jupyter?.token === null ? LOST_TOKEN : null;
  const shut = status === "ready" ? findShutPorts(instance, ways) : null;
  return {
    id,
    instanceId: id,
    name,
    status,
    statusReason: findReason(instance, advice) ?? lost ?? shut,
    productName: labels.productName ?? "",
    templateId: labels.templateId ?? "",
    gpuNum: Number(labels.gpuNum ?? instance.size.gpus),
    rootfsSize: Number(labels.rootfsSize ?? 0),
    region: labels.region ?? "",
    ...toConnection(instance, status, ways),
    createdAt: milliseconds(instance.createdAt),
    startedAt: findMoment(instance.run.preparingAt),
    readyAt: findMoment(instance.run.startedAt),
    lastUsedAt: findMoment(instance.use.lastUsedAt),
    stoppedAt: findMoment(instance.end.at),
    autoStop: findAutoStop(instance),
  };
}

function findAutoStop({ use: { idle } }: Environment): z.infer<typeof Instance>["autoStop"] {
  if (!idle) return null;
  const { verdict, signal, since, at, dryRun } = idle;
  return { verdict, signal, idleSince: milliseconds(since), checkedAt: milliseconds(at), dryRun };
}

function findReason(instance: Environment, advice: WaitAdvice | undefined): string | null {
  const {
    phase,
    reason,
    run: { error: broken },
    end: { outcome },
    size,
    access: { guestFault },
  } = instance;
  if (outcome) return outcome.reason;
  if (phase === "active") return reason ?? guestFault?.reason ?? null;
  if (phase === "stopped" || phase === "stopping") return broken ?? reason;
  if (phase !== "queued" || reason !== null) return reason;
  return advice?.place ? reasonText(advice.place, size.pool) : "Waiting to be placed";
}

function findMoment(at: number | null): string | null {
  return at === null ? null : milliseconds(at);
}
