/** How users enter environments: through the gateway, at a port of the environment's node, or not at all. */
const ways = ["gateway", "nodeport", "none"] as const;
export type Access = (typeof ways)[number];

/** Host names at which the gateway serves users, for DNS. */
export interface GatewayHosts {
  readonly ssh: string;
  /** The parent of the pages' hosts. */
  readonly pages: string;
  /** GATEWAY_ACCESS=private: only networks that reach the cluster's network reach the hosts. */
  readonly isPrivate: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ACCESS: Access = "gateway";

/** Returns `ACCESS` or its default. The settings' schema refuses an unknown value. */
export function readAccess({ ACCESS }: Environment): Access {
  return ways.find((way) => way === ACCESS) ?? DEFAULT_ACCESS;
}

/** Returns a line for each setting that the way in lacks, or that has no effect with it. */
export function accessProblems(environment: Environment): string[] {
  const { ACCESS, TOOLS_IMAGE, SSH_GATEWAY, SSH_HOST_KEYS } = environment;
  const access = readAccess(environment);
  if (ACCESS && ACCESS !== access) return [];
  if (access === "gateway") return [...gatewayProblems(environment), ...schemeProblems(environment)];
  const unused = Object.entries({ SSH_GATEWAY, SSH_HOST_KEYS }).filter(([, value]) => value);
  return [
    ...unused.map(([name]) => `  ${name} needs ACCESS=gateway`),
    ...(access === "nodeport" && !TOOLS_IMAGE ? ["  ACCESS=nodeport needs TOOLS_IMAGE, which has an SSH server"] : []),
  ];
}

/** Names what a gateway lacks, and last the way out for a stage that has no gateway yet. */
function gatewayProblems({ ACCESS, DOMAIN, SSH_GATEWAY, SSH_HOST_KEYS }: Environment): string[] {
  const name = ACCESS ? "ACCESS=gateway" : "ACCESS=gateway, the default,";
  const hosts = SSH_GATEWAY ? "*.<DOMAIN> for pages" : "ssh.<DOMAIN> for SSH and *.<DOMAIN> for pages";
  const problems = [
    ...(DOMAIN ? [] : [`  ${name} needs DOMAIN: the gateway serves ${hosts}`]),
    ...(SSH_HOST_KEYS ? [] : [`  ${name} needs SSH_HOST_KEYS: make the gateway's host key (${GUIDE})`]),
  ];
  return problems.length > 0 ? [...problems, "  without a gateway set ACCESS=none: no user enters a job then"] : [];
}

function schemeProblems({ GATEWAY_ACCESS = "" }: Environment): string[] {
  return ["", "public", "private"].includes(GATEWAY_ACCESS) ? [] : ["  GATEWAY_ACCESS must be public or private"];
}

const GUIDE = "docs/deploy.md#let-users-in";

/** Returns the settings of functions that follow from the way in. */
export function accessSettings(environment: Environment): Record<string, string> {
  const access = readAccess(environment);
  if (access === "gateway") return { ACCESS: access, SSH_GATEWAY: getSshAddress(environment) };
  return { ACCESS: access, ...(access === "nodeport" && { CLUSTER_SSH: "nodeport" }) };
}

export function findGatewayHosts(environment: Environment): GatewayHosts | undefined {
  if (readAccess(environment) !== "gateway") return undefined;
  return {
    ssh: withoutPort(getSshAddress(environment)),
    pages: withoutPort(environment.DOMAIN ?? ""),
    isPrivate: environment.GATEWAY_ACCESS === "private",
  };
}

/** Returns the host that users connect to, with its port if that is not 22. */
function getSshAddress({ SSH_GATEWAY, DOMAIN = "" }: Environment): string {
  return SSH_GATEWAY || `ssh.${withoutPort(DOMAIN)}`;
}

function withoutPort(address: string): string {
  return address.replace(/:\d+$/, "");
}
