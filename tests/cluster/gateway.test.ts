import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { openEchoSession } from "./echo-session.ts";
import { type GatewayFixture, openGatewayFixture } from "./gateway-fixture.ts";
import type { GatewayProcess } from "./gateway-process.ts";

let fixture: GatewayFixture;
beforeAll(async () => {
  fixture = await openGatewayFixture();
});
afterAll(() => fixture.stop());

const openSession = (gateway: GatewayProcess) => openEchoSession(fixture.sshWords(gateway));
const probe = ({ webPort }: GatewayProcess, path: string) => ask(webPort, "127.0.0.1", { path });

it("a user of OpenSSH enters a pod through the program, whose log names the run and no key", async () => {
  const gateway = await fixture.startGateway();

  const session = await fixture.ssh(gateway, "echo inside; exit 3");
  const ready = await probe(gateway, "/readyz");
  gateway.child.kill("SIGTERM");

  expect(session).toEqual({ code: 3, out: "inside\n", err: "" });
  expect(ready.status).toBe(200);
  expect(await gateway.ended).toBe(0);
  expect(gateway.lines.map(({ event }) => event)).toEqual([
    "gateway started",
    "ssh login",
    "gateway draining",
    "gateway ended",
  ]);
  expect(gateway.lines[1]).toMatchObject({ run: fixture.run });
});

it("a session in a pod without the tools image goes on, and counts as no use, as docs/apis/novita.md says", async () => {
  const gateway = await fixture.startGateway();
  const session = await openSession(gateway);

  const count = await fixture.cluster.compute.countWork(fixture.run.slice(0, -"-r1".length), 1);
  const answer = await session.say("still here\n");
  session.close();
  await session.ended;

  expect([count, answer]).toEqual([0, "still here\n"]);
});

it("SIGTERM refuses new connections, and an open session goes on until it ends", async () => {
  const gateway = await fixture.startGateway();
  const session = await openSession(gateway);

  gateway.child.kill("SIGTERM");
  await gateway.logged("gateway draining");
  const [refused] = await once(connect(gateway.sshPort, "127.0.0.1"), "error");
  const health = [await probe(gateway, "/readyz"), await probe(gateway, "/healthz")];
  const answer = await session.say("still here\n");
  session.close();
  const [code] = await session.ended;

  expect(refused).toMatchObject({ code: "ECONNREFUSED" });
  expect(health.map(({ status }) => status)).toEqual([503, 200]);
  expect([answer, code]).toEqual(["still here\n", 0]);
  expect(await gateway.ended).toBe(0);
  expect(await gateway.logged("gateway ended")).toMatchObject({ isDrained: true });
});

it("a session that outlasts DRAIN_SECONDS is cut, and the program still ends with 0", async () => {
  const gateway = await fixture.startGateway({ DRAIN_SECONDS: "1" });
  const session = await openSession(gateway);

  gateway.child.kill("SIGTERM");

  expect(await session.ended).toEqual([255, null]);
  expect(await gateway.ended).toBe(0);
  expect(await gateway.logged("gateway ended")).toMatchObject({ isDrained: false });
});

it("a second signal ends the program at once", async () => {
  const gateway = await fixture.startGateway();
  const session = await openSession(gateway);

  gateway.child.kill("SIGTERM");
  await gateway.logged("gateway draining");
  gateway.child.kill("SIGINT");

  expect(await gateway.ended).toBe(1);
  expect(await session.ended).toEqual([255, null]);
});

it("clients outside of ALLOWED_SOURCES get no answer by SSH", async () => {
  const gateway = await fixture.startGateway({ ALLOWED_SOURCES: "192.0.2.0/24,2001:db8::/32" });

  const session = await fixture.ssh(gateway, "echo inside");
  gateway.child.kill("SIGTERM");

  expect([session.code, session.out]).toEqual([255, ""]);
  expect(await gateway.ended).toBe(0);
  expect(gateway.lines.map(({ event }) => event)).not.toContain("ssh login");
});

it("the end of an environment cuts its session, and refuses its key", async () => {
  const gateway = await fixture.startGateway();
  const session = await openSession(gateway);

  await fixture.records.end(fixture.run);

  expect(await session.ended).toEqual([255, null]);
  const refused = await fixture.ssh(gateway, "echo inside");
  expect([refused.code, refused.out]).toEqual([255, ""]);
  expect(refused.err).toContain("[berth] This environment was cancelled");
});
