/** How users enter environments: through the gateway, at a port of the environment's node, or not at all. */
export type Access = "gateway" | "nodeport" | "none";

/** Host names at which the gateway serves users, for DNS. */
export interface GatewayHosts {
  readonly ssh: string;
  /** The parent of the pages' hosts. */
  readonly pages: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ACCESS: Access = "none";

/** Returns `ACCESS` or its default. An unknown value is a problem of the stage anyway. */
export function readAccess({ ACCESS }: Environment): Access {
  return ACCESS === "gateway" || ACCESS === "nodeport" || ACCESS === "none" ? ACCESS : DEFAULT_ACCESS;
}

/** Returns a line for each setting that the way in lacks, or that has no effect with it. */
export function accessProblems(environment: Environment): string[] {
  const { TOOLS_IMAGE, SSH_GATEWAY, SSH_HOST_KEYS } = environment;
  const access = readAccess(environment);
  if (access === "gateway") {
    const advice = "the public keys of its host key (docs/deploy.md#let-users-in)";
    return SSH_HOST_KEYS ? [] : [`  ACCESS=gateway needs SSH_HOST_KEYS, ${advice}`];
  }
  const unused = Object.entries({ SSH_GATEWAY, SSH_HOST_KEYS }).filter(([, value]) => value);
  return [
    ...unused.map(([name]) => `  ${name} needs ACCESS=gateway`),
    ...(access === "nodeport" && !TOOLS_IMAGE ? ["  ACCESS=nodeport needs TOOLS_IMAGE, which has an SSH server"] : []),
  ];
}

/** Returns the settings of functions that follow from the way in. */
export function accessSettings(environment: Environment): Record<string, string> {
  const access = readAccess(environment);
  if (access === "gateway") return { ACCESS: access, SSH_GATEWAY: getSshAddress(environment) };
  return { ACCESS: access, ...(access === "nodeport" && { CLUSTER_SSH: "nodeport" }) };
}

export function findGatewayHosts(environment: Environment): GatewayHosts | undefined {
  if (readAccess(environment) !== "gateway") return undefined;
  return { ssh: withoutPort(getSshAddress(environment)), pages: withoutPort(environment.DOMAIN ?? "") };
}

/** Returns the host that users connect to, with its port if that is not 22. */
function getSshAddress({ SSH_GATEWAY, DOMAIN = "" }: Environment): string {
  return SSH_GATEWAY || `ssh.${withoutPort(DOMAIN)}`;
}

function withoutPort(address: string): string {
  return address.replace(/:\d+$/, "");
}
