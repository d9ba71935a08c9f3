import { createEnvironment } from "#core/environments/verbs/create.ts";
import { newKey } from "#gateway/ingress/ingress-fixture.ts";
import { fixtureRun } from "#kubernetes/fixtures/cluster-fixture.ts";
import { newEnvironment } from "../worlds/memory-world.ts";
import type { GatewayFixture } from "./gateway-fixture.ts";

export interface GatewayPage {
  readonly host: string;
  readonly headers: { readonly authorization: string };
}

/** Starts an environment whose page is this port. Pods are processes of this machine, so the port is theirs too. */
export async function startPage({ cluster, records }: GatewayFixture, port: number): Promise<GatewayPage> {
  const { world } = records;
  const key = await newKey(world, "alice", { expiresAt: Date.now() + 3_600_000 });
  const input = { addressLabel: "page", ports: [{ port, kind: "http" as const }] };
  const { uid } = await createEnvironment(world.as("alice"), { ...newEnvironment("page", { gpus: 1 }), ...input });
  await world.advance(60_000);
  await cluster.compute.apply(fixtureRun({ uid }));
  await cluster.eventually(
    () => cluster.compute.observe(uid, 1),
    (seen) => seen?.state === "ready",
  );
  return { host: "page.preview.test", headers: { authorization: `Bearer ${key}` } };
}
