import type { Ports } from "#core/context.ts";
import { countedPort } from "#testing/counted-ports.ts";
import { httpWorld } from "#testing/http-world.ts";
import type { Measure } from "./measure.ts";

const job = { image: "ubuntu", instance_type: "p5.48xlarge", duration_hours: 1 };

/** AWS calls of each request, the key's read included: issue 2, "Speed". The last one finds its key in memory. */
export const calls: Measure = {
  name: "calls",
  async run() {
    const made: string[] = [];
    const world = await httpWorld({ wrap: (ports) => counted(ports, made) });
    const key = await world.login();
    const { job_id } = (await (await world.request("POST", "/v1/jobs/submit", { key, body: job })).json()) as {
      job_id: string;
    };
    const path = `/v1/jobs/${job_id}`;
    const asked: [name: string, limit: number, method: string, path: string, body?: object][] = [
      ["submit", 4, "POST", "/v1/jobs/submit", job],
      ["get, queued", 3, "GET", path],
      ["list, queued", 3, "GET", "/v1/jobs"],
      ["extend", 4, "POST", `${path}/extend`, { extension_hours: 1 }],
      ["cancel", 4, "POST", `${path}/cancel`],
      ["availability", 2, "GET", "/v1/gpu/availability"],
      ["status", 2, "GET", "/v1/cluster/status"],
    ];
    const rows = [];
    for (const [name, limit, method, where, body] of asked) {
      // Past the 30 s for which a key is kept.
      world.clock.advance(31_000);
      made.length = 0;
      const { status } = await world.request(method, where, { key, body });
      if (status >= 300) throw new Error(`${method} ${where} answered ${status}`);
      rows.push({ name: `AWS calls: ${name}`, value: made.length, unit: "", limit, note: made.join(" ") });
    }
    return rows;
  },
};

/** Those that are AWS services; the sealer's key is in this process. */
function counted(ports: Ports, made: string[]): Ports {
  const { table, queue, identity } = ports;
  return {
    ...ports,
    table: countedPort("table", table, made),
    queue: countedPort("queue", queue, made),
    identity: countedPort("identity", identity, made),
  };
}
