import { isIPv6 } from "node:net";
import type { Log } from "#core/ports/log.ts";
import type { ConnectPage } from "#gateway/ingress/page-connection.ts";
import { countedPages } from "#gateway/ingress/page-use.ts";
import { attendance } from "#gateway/pods/attendance.ts";
import { podReach } from "#gateway/pods/pod-reach.ts";
import type { Reach } from "#gateway/ports/reach.ts";
import { tunnelEntry } from "#gateway/tunnels/tunnel-entry.ts";
import { tunnelServer } from "#gateway/tunnels/tunnel-server.ts";
import { type RunEntry, runEntry } from "#kubernetes/access/run-entry.ts";
import { apiClient } from "#kubernetes/client/api-client.ts";
import { readKubeconfig } from "#kubernetes/client/kubeconfig.ts";
import { readServiceAccount } from "#kubernetes/client/service-account.ts";
import { parseRunName } from "#kubernetes/names.ts";
import { listen } from "./listen.ts";
import type { GatewaySettings } from "./settings.ts";

/** Ways into the pods of a cluster. */
export interface ClusterReach {
  readonly reach: Reach;
  readonly connect: ConnectPage;
  close(): void;
}

/** Namespace that deploy/kubernetes creates. */
const namespace = "berth-environments";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reaches pods through tunnels if POD_IP is set, and otherwise through the API server of the kubeconfig or of the service
 * account.
 */
export async function clusterReach(
  settings: GatewaySettings,
  environment: Environment,
  log: Log,
): Promise<ClusterReach> {
  const { kubeconfig: file, context, tableName: deployment } = settings;
  const { access } = file
    ? await readKubeconfig({ file, context, environment })
    : { access: await readServiceAccount(environment) };
  const client = apiClient(access);
  const { runs, stop } = await startTunnels(runEntry({ client, namespace, deployment }), settings, log);
  const attend = attendance(runs);
  const reach = podReach(runs, (name) => {
    const id = parseRunName(name);
    return { id, sessions: attend(name) };
  });
  const connect = countedPages(({ run, port }) => runs.dial(parseRunName(run), port), attend);
  const close = () => {
    stop();
    client.close();
  };
  return { reach, connect, close };
}

async function startTunnels(runs: RunEntry, { podIp, tunnelPort }: GatewaySettings, log: Log) {
  if (podIp === undefined) return { runs, stop: () => undefined };
  const { server, invite } = tunnelServer();
  const port = await listen(server, tunnelPort, "TUNNEL_PORT");
  const address = `${isIPv6(podIp) ? `[${podIp}]` : podIp}:${port}`;
  return { runs: tunnelEntry(runs, { invite, address, log }), stop: () => void server.close() };
}
