import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { execPath } from "#kubernetes/exec/pod-exec.ts";
import { buildToolsImage, toolsImage } from "../../../scripts/images/tools-image.ts";
import { openGatewayRecords } from "../../cluster/gateway-records.ts";
import { type DriverFixture, openDriverFixture } from "../../nodes/driver-fixture.ts";
import { podSubnet } from "../../nodes/network.ts";
import { findMissing, readFacts } from "../../nodes/requirements.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { GIGABYTE, readGigabyte, withSshd } from "./sshd.ts";

const run = promisify(execFile);
const ROUNDS = 3;
const login = "gpu-dev-one";
const deployment = "berth-test";

/**
 * 1 GB from a pod on a real node: by the gateway's program, by exec alone, and by OpenSSH's server without a pod. The
 * gateway reads by exec, so it cannot be quicker than exec alone. The numbers have no limits.
 */
export const gatewayNodes: Measure = {
  name: "gateway-nodes",
  async run() {
    const missing = findMissing(await readFacts(process.env));
    if (missing !== undefined) return [{ name: "gateway on real nodes", value: 0, unit: "", note: missing }];
    const { archive } = await buildToolsImage(process.env);
    const nodes = [{ name: "one", instanceType: "p5.48xlarge" }];
    const fixture = await openDriverFixture({ nodes, archives: [archive], toolsImage, deployment });
    const records = await openGatewayRecords(Date.now());
    try {
      const key = newSshKey();
      const begun = await records.records.begin({ login, keys: [key.public] });
      const uid = begun.slice(0, -"-r1".length);
      await fixture.until(await fixture.applied({ uid }), (seen) => seen?.state === "ready");
      const kubeconfig = join(fixture.cluster.controlPlane.home, "berth.kubeconfig");
      const read = async (settings: Readonly<Record<string, string>>) => {
        const { sshPort: port } = await records.startGateway({ KUBECONFIG: kubeconfig, ...settings });
        return repeat(() => readGigabyte({ port, username: login, key }));
      };
      // The address of this machine in the network of the nodes. Pods have no route to it, and it has none to them.
      const address = new URL(fixture.cluster.admin.access.url).hostname;
      const toPods = ["route", "add", podSubnet(1), "via", fixture.getNode("one").address];
      await run("ip", toPods);
      const tunnel = await read({ POD_IP: address, TUNNEL_PORT: "0" }).finally(() =>
        run("ip", toPods.with(1, "delete")),
      );
      const gateway = await read({});
      const exec = await repeat(() => readByExec(fixture, uid));
      const sshd = await withSshd((target) => repeat(() => readGigabyte(target)));
      return [
        describe("by the gateway and a tunnel", tunnel, sshd),
        describe("by the gateway and exec", gateway, sshd),
        describe("by exec alone", exec, sshd),
      ];
    } finally {
      await records.stop();
      await fixture.stop();
    }
  },
};

function describe(how: string, value: number, sshd: number): Row {
  const note = `p50 of ${ROUNDS}; sshd: ${sshd.toFixed(2)} s; ratio ${(value / sshd).toFixed(2)}`;
  return { name: `1 GB from a command in a pod on a real node, ${how}`, value, unit: "s", note };
}

async function repeat(read: () => Promise<number>): Promise<number> {
  const seconds: number[] = [];
  for (let n = 0; n < ROUNDS; n += 1) seconds.push(await read());
  return median(seconds);
}

/** Counts the bytes that a command prints, and does nothing else with them. Returns seconds. */
async function readByExec({ computeOptions: { client, namespace } }: DriverFixture, uid: string): Promise<number> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const { items } = await client.list<Named, string>(`${pods}?labelSelector=berth/uid=${uid}`, (pod) => [
    pod.metadata.name,
  ]);
  const words = ["head", "-c", String(GIGABYTE), "/dev/zero"];
  const begun = performance.now();
  const place = { pod: `${pods}/${items[0]}`, container: "main", words };
  const socket = await client.socket(execPath(place), "v5.channel.k8s.io");
  let bytes = 0;
  socket.on("message", (message: Buffer) => {
    bytes += message.length;
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  await closed;
  if (bytes < GIGABYTE) throw new Error(`exec ended after ${bytes} bytes`);
  return (performance.now() - begun) / 1000;
}

interface Named {
  readonly metadata: { readonly name: string };
}
