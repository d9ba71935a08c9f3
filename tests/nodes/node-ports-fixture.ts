import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Access, type KubeObject, kubeClient } from "../cluster/client.ts";
import { must } from "../cluster/objects.ts";

/**
 * Serves the node ports of one node, for Services with `externalTrafficPolicy: Local`, with the API server's address
 * and token in NODE_PORTS_ACCESS: `<node> [<address>:<port>=<address>:<port>...]`. Each further word is an address of a
 * Service that the node has, and where it leads. It copies bytes in user space. kube-proxy changes packets in the
 * kernel with iptables or nft, so that a pod sees the client's address; here it sees the node's.
 */
const [node = "", ...services] = process.argv.slice(2);
const { get } = kubeClient(JSON.parse(process.env.NODE_PORTS_ACCESS ?? "") as Access);
const { status } = must(await get<Node>(`/api/v1/nodes/${node}`));
const address = status.addresses.find(({ type }) => type === "InternalIP")?.address;

interface Node extends KubeObject {
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
}

interface Service extends KubeObject {
  readonly spec: {
    readonly type: string;
    readonly ports: readonly { readonly name?: string; readonly nodePort?: number }[];
  };
}

interface EndpointSlice extends KubeObject {
  /** null if it has no endpoints. */
  readonly ports: readonly { readonly name?: string; readonly port: number }[] | null;
  readonly endpoints?: readonly {
    readonly nodeName?: string;
    readonly addresses: readonly string[];
    readonly conditions?: { readonly ready?: boolean };
  }[];
}

for (const [from = "", to = ""] of services.map((service) => service.split("="))) await serve(from, to);
const listeners = new Map<number, { readonly target: string; readonly server: Server }>();
for (;;) {
  const targets = await readTargets();
  for (const [port, { target, server }] of listeners) {
    if (targets.get(port) === target) continue;
    listeners.delete(port);
    server.close();
  }
  for (const [port, target] of targets)
    if (!listeners.has(port)) listeners.set(port, { target, server: await serve(`${address}:${port}`, target) });
  await sleep(100);
}

/** Returns the ready endpoint on this node, `<ip>:<port>`, by node port. */
async function readTargets(): Promise<Map<number, string>> {
  const list = async <Item>(path: string) => must(await get<{ items: Item[] }>(path)).items;
  const services = await list<Service>("/api/v1/services");
  const slices = await list<EndpointSlice>("/apis/discovery.k8s.io/v1/endpointslices");
  const targets = new Map<number, string>();
  for (const { metadata, spec } of services.filter(({ spec }) => spec.type === "NodePort"))
    for (const slice of slices.filter((slice) => isOf(slice, metadata))) {
      const ready = slice.endpoints?.find(({ nodeName, conditions }) => nodeName === node && conditions?.ready);
      for (const { name = "", nodePort } of spec.ports) {
        const port = slice.ports?.find((port) => (port.name ?? "") === name)?.port;
        if (ready && port && nodePort) targets.set(nodePort, `${ready.addresses[0]}:${port}`);
      }
    }
  return targets;
}

function isOf({ metadata }: EndpointSlice, service: KubeObject["metadata"]): boolean {
  return metadata.namespace === service.namespace && metadata.labels?.["kubernetes.io/service-name"] === service.name;
}

async function serve(from: string, target: string): Promise<Server> {
  const [[host, port], [targetHost, targetPort]] = [from.split(":"), target.split(":")];
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const pod = connect({ host: targetHost, port: Number(targetPort), allowHalfOpen: true });
    for (const [from, to] of [
      [client, pod],
      [pod, client],
    ] as const)
      from.on("error", () => to.destroy()).pipe(to);
  }).listen(Number(port), host);
  await once(server, "listening");
  return server;
}
