import * as z from "zod";
import type { Phase } from "#core/environments/record/phases.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Settings } from "#core/settings.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";

/** The words of docs/apis/dev8.md#statuses. */
const WorkspaceStatus = z.enum([
  ...(["CREATING", "STARTING", "RUNNING", "STOPPING", "STOPPED", "ERROR", "DELETING"] as const),
]);
export type WorkspaceStatus = z.infer<typeof WorkspaceStatus>;

export const WorkspaceRef = z.object({ id: z.string().meta({ example: "test-workspace-001" }) });

export const Workspace = z.object({
  id: z.string(),
  name: z.string(),
  userId: z.string(),
  status: WorkspaceStatus,
  cloudProvider: z.string(),
  cloudRegion: z.string(),
  cpuCores: z.number(),
  memoryGB: z.number(),
  storageGB: z.int(),
  baseImage: z.string(),
  azureResourceGroup: z.string(),
  azureContainerGroup: z.string(),
  azureFileShare: z.string(),
  azureFqdn: z.string(),
  connectionUrls: z.object({ vscode: z.string(), ssh: z.string() }),
  createdAt: Timestamp,
  updatedAt: Timestamp,
});

/** The envelope of every success; `message` is the same in all answers of an endpoint. */
export function success<Message extends string, Data extends z.ZodType>(message: Message, data: Data) {
  return z.object({ success: z.literal(true), message: z.literal(message), data });
}

/** What a dialect keeps of a workspace beside what the core knows: all text, as labels are. */
export interface WorkspaceLabels extends Readonly<Record<string, string>> {
  readonly userId: string;
  readonly cloudProvider: string;
  readonly cloudRegion: string;
  readonly cpuCores: string;
  readonly memoryGB: string;
  readonly storageGB: string;
  readonly baseImage: string;
}

export function toWorkspace(settings: Settings, workspace: Environment): z.infer<typeof Workspace> {
  const {
    id,
    name,
    createdAt,
    events: { timeline },
  } = workspace;
  const { userId = "", cloudProvider = "", baseImage = "", cpuCores, memoryGB, storageGB } = workspace.labels;
  const cloudRegion = regionOf(workspace);
  const azureFqdn = fqdnOf(settings, workspace);
  return {
    id,
    name,
    userId,
    status: statusOf(workspace),
    cloudProvider,
    cloudRegion,
    cpuCores: Number(cpuCores),
    memoryGB: Number(memoryGB),
    storageGB: Number(storageGB),
    baseImage,
    azureResourceGroup: `dev8-rg-${cloudRegion}`,
    azureContainerGroup: `aci-${id}`,
    azureFileShare: `fs-${id}`,
    azureFqdn,
    connectionUrls: { vscode: pageOf(settings, azureFqdn), ssh: sshOf(settings, workspace, azureFqdn) },
    createdAt: wholeSeconds(createdAt),
    updatedAt: wholeSeconds(timeline.at(-1)?.at ?? createdAt),
  };
}

export function regionOf({ labels }: Environment): string {
  return labels.cloudRegion ?? "";
}

/** What the contract calls its present state: the way out is taken from the moment it was asked for. */
export function statusOf(workspace: Environment): WorkspaceStatus {
  return workspace.end.outcome?.phase === "deleted" ? "DELETING" : statuses[workspace.phase](workspace);
}

const onItsWay = ({ starts }: Environment): WorkspaceStatus => (starts > 0 ? "STARTING" : "CREATING");
const failed = (): WorkspaceStatus => "ERROR";

const statuses = {
  queued: onItsWay,
  preparing: onItsWay,
  active: (): WorkspaceStatus => "RUNNING",
  stopping: (): WorkspaceStatus => "STOPPING",
  stopped: ({ run: { error: broken } }): WorkspaceStatus => (broken === null ? "STOPPED" : "ERROR"),
  completed: failed,
  expired: failed,
  cancelled: failed,
  failed,
  deleted: (): WorkspaceStatus => "DELETING",
} as const satisfies Record<Phase, (workspace: Environment) => WorkspaceStatus>;

/** The label that it holds for its whole life, region included, below the deployment's domain. */
function fqdnOf({ domain }: Settings, { addressLabel }: Environment): string {
  return `${addressLabel}.${hostOf(domain)}`;
}

/** Returns the URL of a page. The document prints both forms: with a certificate the URL has no port. */
function pageOf({ scheme, domain }: Settings, fqdn: string): string {
  if (scheme === "https") return `https://${fqdn}${domain.slice(hostOf(domain).length)}`;
  return `http://${fqdn}${domain.slice(hostOf(domain).length) || ":8080"}`;
}

/**
 * Returns the SSH command. The contract's form needs a domain with an SSH endpoint at that port. Names below localhost
 * have none, so there it is the command that works, once that is known.
 */
function sshOf({ domain }: Settings, { run: { address }, access }: Environment, fqdn: string): string {
  const isLocal = hostOf(domain).endsWith(".localhost") && address?.ip === "127.0.0.1";
  if (isLocal && address.port !== null) return `ssh -p ${address.port} ${access.login}@${address.ip}`;
  return `ssh -p 2222 dev8@${fqdn}`;
}

/** A domain without its port. */
function hostOf(domain: string): string {
  return domain.replace(/:\d+$/, "");
}
