import { Hono } from "hono";
import { jsonLog } from "#aws/log.ts";
import type { Ports } from "#core/context.ts";
import { type App, buildApp } from "#http/app.ts";
import { version } from "#http/version.ts";
import { memoryIdentity } from "../../fakes/memory-identity.ts";
import { asAlice, fixtureRuntime, things } from "../../worlds/fixture-endpoints.ts";
import { httpWorld } from "../../worlds/http-world.ts";
import { type Measure, median } from "../measure.ts";

const rounds = 15;
const perRound = 2_000;
const mostMicroseconds = 60;

/** Cost of routing, cached key, validation, headers and log line over bare Hono. */
export const pipelineCost: Measure = {
  name: "pipeline",
  async run() {
    const runtime = { ...(await fixtureRuntime()), log: jsonLog(() => undefined) };
    const ours = buildApp(runtime, Object.values(things));
    const bare = new Hono();
    bare.get("/v1/things/:thing_id", (c) => c.json({ id: c.req.param("thing_id"), user: "alice" }));
    bare.post("/v1/things/make", async (c) => c.json({ name: (await c.req.json()).name }));
    const get = () => new Request("http://127.0.0.1/v1/things/x1", { headers: asAlice });
    const body = JSON.stringify({ name: "abc", kind: "a", hours: 2, env_vars: { A: "1", B: 2 } });
    const headers = { ...asAlice, "content-type": "application/json" };
    const post = () => new Request("http://127.0.0.1/v1/things/make", { method: "POST", headers, body });
    return [
      await getRow("GET", ours, bare, get),
      await getRow("POST with a body", ours, bare, post),
      await realJobRow(),
    ];
  },
};

/** Measures a real endpoint among all others, including the read and rendering of a job. */
async function realJobRow() {
  const world = await httpWorld();
  const { clock, ctx, endpoints } = world;
  const key = await world.login();
  const job = { image: "ubuntu", instance_type: "p5.48xlarge", duration_hours: 1 };
  const { job_id } = (await (await world.request("POST", "/v1/jobs/submit", { key, body: job })).json()) as {
    job_id: string;
  };
  const { ids, settings } = ctx;
  const { githubKeys } = world;
  const ports: Ports = { ...ctx, githubKeys, identity: memoryIdentity({ callers: [], now: clock.now }) };
  const deployment = { version, startedAt: 0, isolation: "none", limits: "none" };
  const ours = buildApp({ ports, clock, ids, settings, deployment, log: jsonLog(() => undefined) }, endpoints);
  const make = () => new Request(`http://127.0.0.1/v1/jobs/${job_id}`, { headers: { authorization: `Bearer ${key}` } });
  const shown = (await (await ours.fetch(make())).json()) as object;
  const bare = new Hono();
  bare.get("/v1/jobs/:job_id", (c) => c.json(shown));
  return getRow("GET job, with its verb", ours, bare, make);
}

async function getRow(name: string, ours: App, bare: Hono, make: () => Request) {
  const pairs: { readonly ours: number; readonly bare: number }[] = [];
  for (let round = -2; round < rounds; round++) {
    const pair = { bare: await microseconds(bare, make), ours: await microseconds(ours, make) };
    if (round >= 0) pairs.push(pair);
  }
  const value = median(pairs.map((pair) => pair.ours - pair.bare));
  const [all, alone] = [median(pairs.map((pair) => pair.ours)), median(pairs.map((pair) => pair.bare))];
  const note = `median of ${rounds} rounds; ${all.toFixed(0)} µs against ${alone.toFixed(0)} µs`;
  return { name: `pipeline over bare Hono: ${name}`, value, unit: "µs", limit: mostMicroseconds, note };
}

/** Returns the CPU time of one request, of all threads of this process, including garbage collection. */
async function microseconds(app: App | Hono, make: () => Request): Promise<number> {
  const begun = process.cpuUsage();
  for (let n = 0; n < perRound; n++) {
    const response = await app.fetch(make());
    if (!response.ok) throw new Error(await response.text());
    await response.text();
  }
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / perRound;
}
