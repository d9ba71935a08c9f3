import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe } from "vitest";
import { portsConformance } from "#tests/conformance/ports.ts";
import { type ClusterFixture, openClusterFixture } from "../fixtures/cluster-fixture.ts";

/** Longer than any test waits. */
const never = 600_000;
const silent = new Set<string>();
let server: Server;
let fixture: ClusterFixture;

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part) => (body += part));
    request.on("end", () => response.end(JSON.stringify({ reply: (JSON.parse(body) as { message: string }).message })));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  fixture = await openClusterFixture([{ name: "one", instanceType: "m7i.8xlarge" }], ({ metadata }) => {
    const isSilent = silent.has(metadata.labels?.["berth/uid"] ?? "");
    return { ports: { 8080: port, 8888: port }, ...(isSilent ? { readyMs: never } : {}) };
  });
});

afterAll(async () => {
  await fixture.stop();
  server.close();
});

describe("kubernetes compute", () => {
  portsConformance(async () => ({
    compute: fixture.compute,
    nodes: fixture.nodes,
    now: Date.now,
    pass: sleep,
    silence: (uid) => silent.add(uid),
    command: () => "sleep 3600",
    async close() {
      silent.clear();
      await fixture.clear();
    },
  }));
});
