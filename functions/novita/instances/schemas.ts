import * as z from "zod";
import { formatSshCommand } from "#core/environments/access/ssh-command.ts";
import { jupyterUrl, type OpenJupyter } from "#core/environments/record/changes/access.ts";
import type { End } from "#core/environments/record/end.ts";
import type { Phase, PreparingStep } from "#core/environments/record/phases.ts";
import type { DesiredState, Environment } from "#core/environments/record/record.ts";
import type { RunState } from "#core/environments/record/run/run-state.ts";
import type { PortStatus, RunPort } from "#core/ports/compute.ts";
import type { Settings } from "#core/settings.ts";

export const instanceStatuses = [
  ...(["creating", "starting", "running", "health_checking", "ready"] as const),
  ...(["stopping", "stopped", "failed", "terminated"] as const),
] as const;

export type InstanceStatus = (typeof instanceStatuses)[number];

const Status = z.enum(instanceStatuses).meta({ id: "InstanceStatus" });

export const Timestamp = z.string().meta({ format: "date-time", example: "2026-01-20T18:00:00.000Z" });

export const InstanceRef = z.object({
  instanceId: z.string().meta({ example: "inst_9k2m4p7q1x3z" }).describe("The instance's id."),
});

const ConnectionDetails = z
  .object({
    ssh: z.string().nullable().describe("A command that works."),
    jupyter: z.string().nullable().describe("The address of Jupyter."),
    webTerminal: z.null().describe("Always null."),
  })
  .meta({ id: "ConnectionDetails" });

const PortMapping = z
  .object({
    port: z.int().describe("The port inside the instance."),
    endpoint: z.string().describe("The address from outside."),
    type: z.enum(["tcp", "http"]).describe("`http` for web pages, `tcp` for everything else."),
  })
  .meta({ id: "PortMapping" });

export const Instance = z
  .object({
    id: z.string().describe("The instance's id."),
    instanceId: z.string().describe("The instance's id."),
    name: z.string().describe("The instance's name. Two instances may have the same one."),
    status: Status.describe("The instance's current state."),
    statusReason: z.string().nullable().describe("Why the instance is in this state; null without a reason."),
    productName: z.string().describe("The product of the catalogue: the kind of machine."),
    templateId: z
      .string()
      .describe("The template of the catalogue, with the installed software. A number is read as text."),
    gpuNum: z.int().describe("Number of GPUs."),
    rootfsSize: z.int().describe("Size in GB of the storage at `/workspace`."),
    region: z.string().describe("The region of the catalogue, a label."),
    portMappings: z.array(PortMapping).describe("How the instance's ports are reached; empty unless it is ready."),
    connectionDetails: ConnectionDetails.nullable().describe("How to connect; null unless the instance is ready."),
    createdAt: Timestamp.describe("When it was created."),
    startedAt: Timestamp.nullable().describe("When the latest run began."),
    readyAt: Timestamp.nullable().describe("When the latest run was ready."),
    lastUsedAt: Timestamp.nullable().describe("When the instance was last used."),
    stoppedAt: Timestamp.nullable().describe("When the instance was stopped."),
    /** The latest decision about its idleness, and the sign of use that it was based on. */
    autoStop: z
      .object({
        verdict: z.enum(["keep", "stop"]).describe("Whether the instance is kept or stopped."),
        signal: z.string().describe("The signal that decided."),
        idleSince: Timestamp.describe("Since when the instance is unused."),
        checkedAt: Timestamp.describe("When the decision was made."),
        dryRun: z.boolean().describe("Whether the decision is only recorded and not carried out."),
      })
      .meta({ id: "AutoStop" })
      .nullable()
      .describe("The latest decision about stopping the idle instance; null before the first."),
  })
  .meta({ id: "Instance" });

interface Standing extends Pick<Environment, "phase" | "step"> {
  readonly run: Pick<RunState, "n"> & Partial<Pick<RunState, "error">>;
  readonly end?: Pick<End, "outcome">;
  readonly goal?: Pick<DesiredState, "desired">;
}

export function toStatus(at: Standing): InstanceStatus {
  return at.end?.outcome ? "terminated" : statuses[at.phase](at);
}

/** Decides with the record which addresses an instance shows. */
export interface Ways {
  readonly jupyter: OpenJupyter | undefined;
  readonly settings: Pick<Settings, "sshGateway" | "userAccess">;
}

export function toConnection(
  instance: Pick<Environment, "ports" | "run" | "access">,
  status: InstanceStatus,
  { jupyter, settings }: Ways,
): Pick<z.infer<typeof Instance>, "portMappings" | "connectionDetails"> {
  if (status !== "ready") return { portMappings: [], connectionDetails: null };
  const { ports, run } = instance;
  const page = run.ports.find((port) => port.address !== null && isFirstPage(port, ports) && !isShut(port, settings));
  return {
    portMappings: run.ports.flatMap((port) => toPortMapping(port, { jupyter, settings })),
    connectionDetails: {
      ssh: settings.sshGateway ? formatSshCommand(instance, settings) : formatOwnSsh(instance),
      jupyter: jupyter ? jupyterUrl(jupyter) : page ? formatUrl(page.address ?? "") : null,
      webTerminal: null,
    },
  };
}

/** Returns the command for an address of the run itself. */
function formatOwnSsh({ ports, run: { address }, access }: Pick<Environment, "ports" | "run" | "access">) {
  if (!ports.some(({ kind }) => kind === "ssh") || typeof address?.port !== "number") return null;
  return `ssh -p ${address.port} ${access.login}@${address.ip}`;
}

/** A second run, by a restart or a returned grant, is never `creating` again. */
const early = ({ run: { n: run } }: Standing): InstanceStatus => (run > 1 ? "starting" : "creating");

const failed = (): InstanceStatus => "failed";

const statusOfStep = {
  disk: early,
  pod: () => "starting",
  image: () => "starting",
  container: () => "running",
  probe: () => "health_checking",
} as const satisfies Record<PreparingStep, (at: Standing) => InstanceStatus>;

const statuses = {
  queued: early,
  // An entry without a step records the grant of capacity.
  preparing: (at): InstanceStatus => (at.step === null ? "starting" : statusOfStep[at.step](at)),
  active: () => "ready",
  stopping: () => "stopping",
  stopped: ({ run: { error = null }, goal }): InstanceStatus => {
    if (goal?.desired === "active") return "starting";
    return error === null ? "stopped" : "failed";
  },
  completed: failed,
  expired: failed,
  cancelled: failed,
  failed,
  deleted: () => "terminated",
} as const satisfies Record<Phase, (at: Standing) => InstanceStatus>;

function isFirstPage({ port }: RunPort, ports: readonly RunPort[]): boolean {
  return ports.find(({ kind }) => kind === "http" || kind === "jupyter")?.port === port;
}

/** An address of a pod, which no user of a deployment on AWS reaches. A host name leads to an ingress controller. */
function isShut({ kind, address }: PortStatus, { userAccess }: Ways["settings"]): boolean {
  return kind !== "ssh" && userAccess !== undefined && address !== null && isPodAddress.test(address);
}

const isPodAddress = /^(\[|[\d.]+:\d+$)/;

/** Explains how to reach the ports of a ready instance that have no address outside. */
export function findShutPorts(instance: Pick<Environment, "run" | "access">, { settings }: Ways): string | null {
  const { userAccess } = settings;
  // With a gateway Jupyter gets a host name once it answers.
  const isExpected = ({ kind }: PortStatus) => kind === "jupyter" && userAccess === "gateway";
  const shut = instance.run.ports.filter((port) => !isExpected(port) && isShut(port, settings));
  if (shut.length === 0) return null;
  const command = formatSshCommand(instance, settings);
  const forwards = shut.map(({ port }) => `-L ${port}:127.0.0.1:${port}`).join(" ");
  const said = `Not reachable from outside: port ${shut.map(({ port }) => port).join(", ")}`;
  if (userAccess === "none") return `${said}: this deployment has no way in (ACCESS=none)`;
  return command
    ? `${said}. Forward it: ${command} ${forwards}`
    : `${said}, unless githubUser names a user with SSH keys`;
}

function toPortMapping(status: PortStatus, { jupyter, settings }: Ways): z.infer<typeof PortMapping>[] {
  const { port, kind, address } = status;
  const { sshGateway } = settings;
  // A gateway serves SSH for runs that have no SSH server.
  if (kind === "ssh" && sshGateway) return [{ port, endpoint: `${sshGateway.host}:${sshGateway.port}`, type: "tcp" }];
  if (address === null) return [];
  if (isShut(status, settings)) {
    return kind === "jupyter" && jupyter?.origin ? [{ port, endpoint: jupyter.origin, type: "http" }] : [];
  }
  const isPage = kind === "http" || kind === "jupyter";
  return [{ port, endpoint: isPage ? formatUrl(address) : address, type: isPage ? "http" : "tcp" }];
}

/** Returns the URL of an address. One with a port is used unchanged; a plain name has a certificate. */
function formatUrl(address: string): string {
  return /:\d+$/.test(address) ? `http://${address}` : `https://${address}`;
}

export const exampleInstance = {
  id: "inst_9k2m4p7q1x3z",
  instanceId: "inst_9k2m4p7q1x3z",
  name: "my-instance",
  status: "ready",
  statusReason: null,
  productName: "RTX 4090 24GB",
  templateId: "pytorch-jupyter",
  gpuNum: 1,
  rootfsSize: 60,
  region: "CN-HK-01",
  portMappings: [{ port: 8888, endpoint: "https://inst-9k2m4p7q1x3z-8888.berth.example", type: "http" }],
  connectionDetails: {
    ssh: "ssh -p 30123 inst_9k2m4p7q1x3z@10.0.1.42",
    jupyter: "https://inst-9k2m4p7q1x3z-8888.berth.example",
    webTerminal: null,
  },
  createdAt: "2026-01-20T18:00:00.000Z",
  startedAt: "2026-01-20T18:00:05.000Z",
  readyAt: "2026-01-20T18:01:00.000Z",
  lastUsedAt: "2026-01-20T18:05:00.000Z",
  stoppedAt: null,
  autoStop: {
    verdict: "keep",
    signal: "ssh",
    idleSince: "2026-01-20T18:05:00.000Z",
    checkedAt: "2026-01-20T18:06:00.000Z",
    dryRun: false,
  },
};
