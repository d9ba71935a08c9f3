import * as z from "zod";
import { gatewayCommand } from "#core/environments/access/ssh-command.ts";
import type { Phase } from "#core/environments/record/phases.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Settings } from "#core/settings.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { AS_PRINTED } from "#http/route.ts";
import { formatNoPages } from "../../shared/internal/no-pages.ts";

const WorkspaceStatus = z.enum([
  ...(["CREATING", "STARTING", "RUNNING", "STOPPING", "STOPPED", "ERROR", "DELETING"] as const),
]);
export type WorkspaceStatus = z.infer<typeof WorkspaceStatus>;

export const WorkspaceRef = z.object({
  id: z.string().meta({ example: "test-workspace-001" }).describe("The workspace's id, which its owner chose."),
});

export const Workspace = z
  .object({
    id: z.string().describe("The workspace's id, which its owner chose."),
    name: z.string().describe("The workspace's name, for people."),
    userId: z.string().describe("A label of your choice. It is not an identity: the API key decides who you are."),
    status: WorkspaceStatus.describe("The workspace's current state."),
    cloudProvider: z.string().describe("A label of your choice."),
    cloudRegion: z.string().describe("The region. Later calls on the same workspace must name the same one."),
    cpuCores: z.number().describe("Number of CPU cores."),
    memoryGB: z.number().describe("Memory in GB."),
    storageGB: z.int().describe("Size of the workspace volume in GB. A start keeps the size of the existing volume."),
    baseImage: z.string().describe("The language that is installed in the workspace."),
    azureResourceGroup: z.string().describe("A name that existing clients read."),
    azureContainerGroup: z.string().describe("A name that existing clients read."),
    azureFileShare: z.string().describe("A name that existing clients read."),
    azureFqdn: z.string().describe("The workspace's host name, the same for its whole life."),
    connectionUrls: z
      .object({
        vscode: z.string().nullable().describe("The address of VS Code; null if the deployment serves no pages."),
        ssh: z.string().describe("The SSH command."),
      })
      .describe("How to connect to the workspace."),
    warning: z.string().optional().describe("Why no address leads to VS Code; left out if one does."),
    createdAt: Timestamp.describe("When it was created."),
    updatedAt: Timestamp.describe("When the workspace last changed."),
  })
  .meta({ id: "Environment" });

export function success<Message extends string, Data extends z.ZodType>(message: Message, data: Data) {
  return z.object({
    success: z.literal(true).describe("Always true. A problem has another shape."),
    message: z.literal(message).describe("What happened, in words."),
    data: data.describe("The result."),
  });
}

/** Fields that the core does not know, stored as labels and so all text. */
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
  const cloudRegion = getRegion(workspace);
  const azureFqdn = getFqdn(settings, workspace);
  return {
    id,
    name,
    userId,
    status: toStatus(workspace),
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
    ...toConnection(settings, workspace, azureFqdn),
    createdAt: wholeSeconds(createdAt),
    updatedAt: wholeSeconds(timeline.at(-1)?.at ?? createdAt),
  };
}

export function getRegion({ labels }: Environment): string {
  return labels.cloudRegion ?? "";
}

/** Returns the contract's status. DELETING applies from the request on. */
export function toStatus(workspace: Environment): WorkspaceStatus {
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

/** Returns the host name: the workspace's permanent label below the deployment's domain. */
function getFqdn({ domain }: Settings, { addressLabel }: Environment): string {
  return `${addressLabel}.${formatHost(domain)}`;
}

function toConnection(
  settings: Settings,
  workspace: Environment,
  fqdn: string,
): Pick<z.infer<typeof Workspace>, "connectionUrls" | "warning"> {
  const { userAccess = "gateway" } = settings;
  const ssh = getSsh(settings, workspace, fqdn);
  if (userAccess === "gateway") return { connectionUrls: { vscode: getPage(settings, fqdn), ssh } };
  return { connectionUrls: { vscode: null, ssh }, warning: formatNoPages("VS Code", userAccess) };
}

/** Returns the URL of a page. The document prints both forms: with a certificate the URL has no port. */
function getPage({ scheme, domain }: Settings, fqdn: string): string {
  if (scheme === "https") return `https://${fqdn}${domain.slice(formatHost(domain).length)}`;
  return `http://${fqdn}${domain.slice(formatHost(domain).length) || ":8080"}`;
}

/**
 * Returns the SSH command. In the contract's form all workspaces have one login, and SSH clients do not say which host
 * they want. So no gateway can serve it, and the working command is shown where there is one.
 */
function getSsh(
  { domain, sshGateway, userAccess }: Settings,
  { run: { address }, access }: Environment,
  fqdn: string,
): string {
  if (sshGateway) return gatewayCommand(access, sshGateway);
  const isLocal = formatHost(domain).endsWith(".localhost") && address?.ip === "127.0.0.1";
  if ((isLocal || userAccess === "nodeport") && typeof address?.port === "number")
    return `ssh -p ${address.port} ${access.login}@${address.ip}`;
  return `ssh -p 2222 dev8@${fqdn}`;
}

function formatHost(domain: string): string {
  return domain.replace(/:\d+$/, "");
}

export const exampleEnvironment = {
  id: "clxxx-yyyy-zzzz-aaaa-bbbb",
  name: "My Development Workspace",
  userId: "user_12345",
  status: "RUNNING",
  cloudProvider: "AZURE",
  cloudRegion: "centralindia",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  baseImage: "node",
  azureResourceGroup: "dev8-rg-centralindia",
  azureContainerGroup: "aci-clxxx-yyyy-zzzz-aaaa-bbbb",
  azureFileShare: "fs-clxxx-yyyy-zzzz-aaaa-bbbb",
  azureFqdn: "ws-clxxx-yyyy-zzzz-aaaa-bbbb.centralindia.berth.example",
  connectionUrls: {
    vscode: "https://ws-clxxx-yyyy-zzzz-aaaa-bbbb.centralindia.berth.example",
    ssh: "ssh -p 2222 dev8@ws-clxxx-yyyy-zzzz-aaaa-bbbb.centralindia.berth.example",
  },
  createdAt: "2025-10-27T14:30:00Z",
  updatedAt: "2025-10-27T14:32:15Z",
};

/** The published document shows an Azure service: its pages have a port after a create, and none after a start. */
export function printedEnvironment(formatUrl: (host: string) => string) {
  const host = `ws-${exampleEnvironment.id}.centralindia.azurecontainer.io`;
  const connectionUrls = { vscode: formatUrl(host), ssh: `ssh -p 2222 dev8@${host}` };
  return { ...exampleEnvironment, azureFqdn: host, connectionUrls };
}

export const exampleWorkspace = {
  workspaceId: "clxxx-yyyy-zzzz-aaaa-bbbb",
  cloudRegion: "centralindia",
  userId: "user_12345",
  name: "My Development Workspace",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  baseImage: "node",
};

export function exampleAnswer(title: string, message: string, data: object, ofPrinted?: object) {
  const answer = { success: true, message, data };
  const further = ofPrinted && { [AS_PRINTED]: { ...answer, data: { ...data, environment: ofPrinted } } };
  return { [title]: answer, ...further };
}

export function exampleProblem(title: string, error: string, status: number, message: string) {
  return { [title]: { success: false, error, message, code: `ERR_${status}` } };
}

export const exampleSmallest = {
  workspaceId: "test-workspace-001",
  userId: "user123",
  name: "Test Workspace",
  cloudRegion: "centralindia",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  baseImage: "node",
};
