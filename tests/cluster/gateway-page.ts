import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { newKey } from "#gateway/ingress/ingress-fixture.ts";
import type { TicketReply } from "#gateway/terminal/terminal-client-fixture.ts";
import { fixtureRun } from "#kubernetes/fixtures/cluster-fixture.ts";
import { newEnvironment } from "../worlds/memory-world.ts";
import type { GatewayFixture } from "./gateway-fixture.ts";

export interface GatewayPage {
  readonly host: string;
  readonly headers: { readonly authorization: string };
  /** Issues a ticket for a terminal of the environment, at a gateway with this port. */
  getTicket(webPort: number): Promise<TicketReply>;
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
  const user = world.as("alice");
  const caller = { ...user, actor: { ...user.actor, keyHash: world.ctx.ids.hash(key) } };
  return {
    host: "page.preview.test",
    headers: { authorization: `Bearer ${key}` },
    getTicket: async (webPort) => {
      // The gateway has the time of this machine, and a ticket lives for a moment.
      world.clock.advance(Math.max(0, Date.now() - world.clock.now()));
      const request = { terminal: undefined, origin: null };
      const { ticket, label, terminal } = await issueTerminalTicket(caller, "page", request, ({ phase }) => phase);
      return { url: `ws://${label}.preview.test:${webPort}/.berth/terminal`, ticket, terminal_id: terminal };
    },
  };
}
