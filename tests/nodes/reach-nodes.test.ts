import { describe, expect, it } from "vitest";
import type { Log } from "#core/ports/log.ts";
import { RunGone } from "#core/problem.ts";
import { podReach } from "#gateway/pods/pod-reach.ts";
import { tunnelEntry } from "#gateway/tunnels/tunnel-entry.ts";
import { runEntry } from "#kubernetes/access/run-entry.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { reachConformance } from "../conformance/reach.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { serveTunnels } from "./serve-tunnels.ts";

const echoPort = 8080;

const echo = `exec python3 -c '
import socketserver

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        while part := self.request.recv(65536):
            self.request.sendall(part)

socketserver.ThreadingTCPServer(("", ${echoPort}), Echo).serve_forever()
'`;

describe.each(["by the API server", "by a tunnel"])("the reach into a pod on a real node, %s", (way) => {
  let fixture: DriverFixture;
  const opened: unknown[] = [];

  reachConformance(async () => {
    const { archive } = await buildToolsImage(process.env);
    const nodes = [{ name: "one", instanceType: "p5.48xlarge" }];
    fixture = await openDriverFixture({ nodes, archives: [archive], toolsImage });
    const run = await fixture.applied({ command: echo, ports: [{ port: echoPort, kind: "tcp" }] });
    await fixture.until(run, (seen) => seen?.state === "ready");
    const id = { uid: run.uid, run: 1 };
    const byApiServer = runEntry(fixture.computeOptions);
    const host = new URL(fixture.cluster.admin.access.url).hostname;
    const { server, ...tunnels } = await serveTunnels(fixture.getNode("one"), host);
    const note: Log["info"] = (event, { error } = {}) => void opened.push([event, error]);
    const options = { ...tunnels, log: { info: note, warn: note, error: note } };
    const runs = way === "by a tunnel" ? tunnelEntry(byApiServer, options) : byApiServer;
    const reach = podReach(runs, (name) => {
      if (name !== nameOfRun(id)) throw new RunGone();
      return { id, sessions: new Set() };
    });
    return {
      reach,
      run: nameOfRun(id),
      endedRun: `${"0".repeat(32)}-r1`,
      place: "/tmp",
      echoPort,
      closedPort: 9,
      close: async () => {
        server.close();
        await fixture.stop();
      },
    };
  });

  it("opens one tunnel for all its sessions, or none through the API server", () => {
    expect(opened).toEqual(way === "by a tunnel" ? [["tunnel opened", undefined]] : []);
  });

  it("says why a pod without tools has no relays", async () => {
    const run = await fixture.applied({ shares: [{ node: "one", units: 1 }] }, { toolsImage: undefined });
    await fixture.until(run, (seen) => seen?.state === "ready");
    const reach = podReach(runEntry(fixture.computeOptions), () => ({
      id: { uid: run.uid, run: 1 },
      sessions: new Set(),
    }));

    const relay = await reach.openRelay(nameOfRun({ uid: run.uid, run: 1 }), ["agent"], () => undefined);

    await expect(relay.address).rejects.toThrow("it started without a tools image");
    await relay.ended;
  });
});
