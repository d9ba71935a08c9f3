import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";
import { Workspace } from "../wire.ts";
import { ActivityReport, Snapshot } from "./activity-report.ts";

const id = "clxxx-yyyy-zzzz-aaaa-bbbb";
const host = `ws-${id}.centralindia.berth.example`;

const environment = {
  id,
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
  azureContainerGroup: `aci-${id}`,
  azureFileShare: `fs-${id}`,
  azureFqdn: host,
  connectionUrls: { vscode: `https://${host}`, ssh: `ssh -p 2222 dev8@${host}` },
  createdAt: "2025-10-27T14:30:00Z",
  updatedAt: "2025-10-27T14:32:15Z",
};

/** What the published document prints of an Azure service: its pages are on a port at a create, and on none at a start. */
const printedHost = `ws-${id}.centralindia.azurecontainer.io`;
const printed = {
  ...environment,
  azureFqdn: printedHost,
  connectionUrls: { vscode: `http://${printedHost}:8080`, ssh: `ssh -p 2222 dev8@${printedHost}` },
};

const named = { workspaceId: id, cloudRegion: "centralindia" };

const wanted = {
  ...named,
  userId: "user_12345",
  name: "My Development Workspace",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  baseImage: "node",
};

function answered(title: string, message: string, data: object, ofPrinted?: object) {
  const answer = { success: true, message, data };
  const further = ofPrinted && { [AS_PRINTED]: { ...answer, data: { ...data, environment: ofPrinted } } };
  return { examples: { [title]: answer, ...further } };
}

function refused(title: string, error: string, status: number, message: string) {
  return { [status]: { [title]: { success: false, error, message, code: `ERR_${status}` } } };
}

const badId = refused("A bad id", "Invalid Request", 400, "workspaceId must be a valid UUID");

const small = {
  workspaceId: "test-workspace-001",
  userId: "user123",
  name: "Test Workspace",
  cloudRegion: "centralindia",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  baseImage: "node",
};

const report = {
  snapshot: {
    lastIDEActivity: "2025-10-27T14:40:00Z",
    lastSSHActivity: "2025-10-27T14:35:00Z",
    activeIDEConnections: 1,
    activeSSHConnections: 0,
  },
  timestamp: "2025-10-27T14:40:00Z",
};

const noSuch = { 404: "You have no such workspace in this region" };

export const document: NounDocument = {
  tag: "Environments",
  schemas: {
    Environment: Workspace,
    ReportedActivity: ActivityReport.shape.snapshot.unwrap().unwrap(),
    RecordedActivity: Snapshot,
  },
  fields: {
    id: "The workspace's id, which its owner chose.",
    workspaceId: "The workspace's id: your own choice of 10 to 63 letters, digits, hyphens and underscores.",
    environmentId: "The workspace's id.",
    name: "The workspace's name, for people.",
    userId: "A label of your choice. It is not an identity: the API key decides who you are.",
    status: "The workspace's current state.",
    cloudProvider: "A label of your choice.",
    cloudRegion: "The region. Later calls on the same workspace must name the same one.",
    cpuCores: "Number of CPU cores.",
    memoryGB: "Memory in GB.",
    storageGB: "Size of the workspace volume in GB. A start keeps the size of the existing volume.",
    baseImage: "The language that is installed in the workspace.",
    azureResourceGroup: "A name that existing clients read.",
    azureContainerGroup: "A name that existing clients read.",
    azureFileShare: "A name that existing clients read.",
    azureFqdn: "The workspace's host name, the same for its whole life.",
    connectionUrls: "How to connect to the workspace.",
    vscode: "The address of VS Code.",
    ssh: "The SSH command.",
    updatedAt: "When the workspace last changed.",
    environment: "The workspace in its current state.",
    environments: "Your workspaces, newest first.",
    "data.message": "What the result means, in words.",
    githubToken: "A GitHub token, known only inside the workspace. Stop removes it.",
    codeServerPassword: "The password of VS Code. Without one Berth sets a random password.",
    sshPublicKey: "The public key that may log in by SSH.",
    gitUserName: "The user name in git's configuration.",
    gitUserEmail: "The mail address in git's configuration.",
    anthropicApiKey: "An Anthropic API key, known only inside the workspace. Stop removes it.",
    openaiApiKey: "An OpenAI API key, known only inside the workspace. Stop removes it.",
    geminiApiKey: "A Gemini API key, known only inside the workspace. Stop removes it.",
    force: "Whether to delete the workspace even while it runs.",
    snapshot: "What the client observed.",
    lastIDEActivity: "When VS Code was last used.",
    lastSSHActivity: "When SSH was last used.",
    activeIDEConnections: "Number of open VS Code connections.",
    activeSSHConnections: "Number of open SSH connections.",
    timestamp: "When the client observed this.",
  },
  operations: {
    create: {
      id: "createEnvironment",
      description: "Waits for at most 25 seconds until it runs, and answers with it as it is.",
      body: "CreateEnvironment",
      reply: "EnvironmentCreated",
      requests: {
        "The least that is needed": small,
        "A small Node workspace": { ...wanted, cloudProvider: "AZURE" },
        "With secrets of its own": {
          ...wanted,
          cloudProvider: "AZURE",
          githubToken: "ghp_xxxxxxxxxxxxxxxxxxxx",
          codeServerPassword: "SecurePassword123!",
          sshPublicKey: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC...",
          gitUserName: "John Doe",
          gitUserEmail: "john@example.com",
          anthropicApiKey: "sk-ant-xxxxxxxxxxxx",
          openaiApiKey: "sk-xxxxxxxxxxxx",
          geminiApiKey: "AIzaxxxxxxxxxx",
        },
      },
      replies: {
        201: answered(
          "It runs",
          "Workspace created successfully",
          { environment, message: "Your development environment is ready to use" },
          printed,
        ),
      },
      problems: { 409: "The id is in use" },
      refusals: badId,
    },
    list: {
      id: "listEnvironments",
      reply: "EnvironmentList",
      replies: {
        200: answered("One workspace", "Environments retrieved successfully", {
          environments: [environment],
          total: 1,
        }),
      },
    },
    get: {
      id: "getEnvironment",
      reply: "EnvironmentFound",
      replies: { 200: answered("It runs", "Environment retrieved successfully", { environment }) },
    },
    start: {
      id: "startEnvironment",
      description: "A new container on the same volumes. Waits for at most 25 seconds until it runs.",
      body: "StartEnvironment",
      reply: "EnvironmentStarted",
      requests: {
        "With nothing secret": small,
        "The same again": {
          ...wanted,
          codeServerPassword: "SecurePassword123!",
          githubToken: "ghp_xxxxxxxxxxxxxxxxxxxx",
        },
      },
      replies: {
        200: answered(
          "It runs",
          "Workspace started successfully",
          { environment, message: "Your workspace is now running with existing data" },
          { ...printed, connectionUrls: { ...printed.connectionUrls, vscode: `https://${printedHost}` } },
        ),
      },
      problems: { 404: "Its volumes are not there", 409: "It runs already" },
      refusals: {
        ...badId,
        ...refused(
          "No volumes",
          "Resource Not Found",
          404,
          "workspace volume not found: fs-clxxx-yyyy-zzzz. Create environment first.",
        ),
      },
    },
    stop: {
      id: "stopEnvironment",
      body: "NamedEnvironment",
      reply: "EnvironmentStopped",
      requests: {
        "This one": { workspaceId: "test-workspace-001", cloudRegion: "centralindia" },
        "Another one": named,
      },
      replies: {
        200: answered("It is stopped", "Workspace stopped successfully", {
          workspaceId: id,
          message: "Container deleted, volumes preserved. Restart anytime to resume work.",
        }),
      },
      problems: noSuch,
      refusals: refused(
        "Stopped already",
        "Resource Not Found",
        404,
        "container not found for workspace clxxx-yyyy-zzzz. Already stopped?",
      ),
    },
    activity: {
      id: "reportEnvironmentActivity",
      body: "EnvironmentActivity",
      reply: "EnvironmentActivityRecorded",
      requests: { "Somebody works in it": report },
      replies: {
        200: answered("What was taken", "Activity recorded successfully", { environmentId: id, ...report }),
      },
      parameters: { id },
    },
    delete: {
      id: "deleteEnvironment",
      body: "DeleteEnvironment",
      reply: "EnvironmentDeleted",
      requests: { "With all its files": { ...named, force: false }, "Although it runs": { ...named, force: true } },
      replies: {
        200: answered("It is gone", "Workspace deleted permanently", {
          workspaceId: id,
          message: "All data and resources have been permanently removed",
        }),
      },
      problems: { ...noSuch, 409: "It runs, and `force` was not said" },
      refusals: refused(
        "It runs",
        "Conflict",
        409,
        `workspace ${id} is still running. Stop it first or use force=true`,
      ),
    },
  },
};
