import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type TunnelServer, tunnelServer } from "#gateway/tunnels/tunnel-server.ts";
import type { RealNode } from "./real-node.ts";

/** Copies bytes both ways, and passes on the end of each direction. */
const program = `
const { connect, createServer } = require("node:net");
const [host, port] = process.argv.slice(1);
createServer({ allowHalfOpen: true }, (pod) => {
  const machine = connect({ host, port, allowHalfOpen: true });
  for (const [from, to] of [[pod, machine], [machine, pod]]) from.on("error", () => to.destroy()).pipe(to);
}).listen(port, "0.0.0.0");
`;

/** Serves tunnels of pods on a node. `host` is the address of this machine in the network of the nodes. */
export async function serveTunnels(node: RealNode, host: string): Promise<TunnelServer & { readonly address: string }> {
  const tunnels = tunnelServer();
  await once(tunnels.server.listen(0, host), "listening");
  const { port } = tunnels.server.address() as AddressInfo;
  await leadToMachine(node, host, port);
  return { ...tunnels, address: `${node.address}:${port}` };
}

/** Leads a port of a node to the same port of this machine, to which pods have no route. It ends with the node. */
export async function leadToMachine({ machine, address }: RealNode, host: string, port: number): Promise<void> {
  const lead = machine.start("port-to-machine", process.execPath, ["-e", program, host, String(port)]);
  await lead.whileRunning(untilListening(address, port));
}

async function untilListening(host: string, port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, host);
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await sleep(20);
  }
}
