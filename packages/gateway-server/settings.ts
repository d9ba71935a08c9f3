import { type Config, type Environment, problemsOnLambda, readConfig } from "#aws/settings/config.ts";
import { readSettings } from "#aws/settings/settings.ts";

export interface GatewaySettings {
  readonly tableName: string;
  readonly hostKeyFile: string;
  readonly sshPort: number;
  readonly webPort: number;
  /** Address of this gateway's pod, to which other pods connect. Undefined: the API server carries all bytes. */
  readonly podIp: string | undefined;
  readonly tunnelPort: number;
  readonly allowedSources: readonly string[];
  readonly drainSeconds: number;
  /** Access from outside the cluster. Undefined: the service account of this pod. */
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Settings of the core, of which pages need the domain and its scheme. */
  readonly served: ReturnType<typeof readSettings>;
}

const names = [
  "TABLE_NAME",
  "DOMAIN",
  "HOST_KEY_FILE",
  "SSH_PORT",
  "PORT",
  "POD_IP",
  "TUNNEL_PORT",
  "ALLOWED_SOURCES",
  "DRAIN_SECONDS",
  "KUBECONFIG",
  "KUBE_CONTEXT",
] as const satisfies (keyof Config)[];

const SSH_PORT = 2222;

/** Reads the settings of the gateway. Throws one error that names every bad one, and never a value. */
export function readGatewaySettings(environment: Environment): GatewaySettings {
  // A deployment has no defaults for names of resources, and AWS clients have none for their region.
  const problems = problemsOnLambda(names, environment);
  if (!environment.AWS_REGION) problems.push("  AWS_REGION must be set");
  if (problems.length > 0) throw new Error(`Bad settings:\n${problems.join("\n")}`);
  const config = readConfig(names, environment);
  return {
    tableName: config.TABLE_NAME,
    hostKeyFile: config.HOST_KEY_FILE,
    sshPort: config.SSH_PORT ?? SSH_PORT,
    webPort: config.PORT,
    podIp: config.POD_IP,
    tunnelPort: config.TUNNEL_PORT,
    allowedSources: config.ALLOWED_SOURCES,
    drainSeconds: config.DRAIN_SECONDS,
    kubeconfig: config.KUBECONFIG,
    context: config.KUBE_CONTEXT,
    served: readSettings(environment),
  };
}
