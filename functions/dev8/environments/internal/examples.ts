import { AS_PRINTED } from "#http/route.ts";

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

/** The published document shows an Azure service: its pages have a port after a create, and none after a start. */
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
  return { [title]: answer, ...further };
}

function refused(title: string, error: string, status: number, message: string) {
  return { [title]: { success: false, error, message, code: `ERR_${status}` } };
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

export const createExamples = {
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
  201: answered(
    "It runs",
    "Workspace created successfully",
    { environment, message: "Your development environment is ready to use" },
    printed,
  ),
  400: badId,
};

export const listExamples = {
  200: answered("One workspace", "Environments retrieved successfully", {
    environments: [environment],
    total: 1,
  }),
};

export const getExamples = {
  200: answered("It runs", "Environment retrieved successfully", { environment }),
};

export const startExamples = {
  requests: {
    "With nothing secret": small,
    "The same again": {
      ...wanted,
      codeServerPassword: "SecurePassword123!",
      githubToken: "ghp_xxxxxxxxxxxxxxxxxxxx",
    },
  },
  200: answered(
    "It runs",
    "Workspace started successfully",
    { environment, message: "Your workspace is now running with existing data" },
    { ...printed, connectionUrls: { ...printed.connectionUrls, vscode: `https://${printedHost}` } },
  ),
  400: badId,
  404: refused(
    "No volumes",
    "Resource Not Found",
    404,
    "workspace volume not found: fs-clxxx-yyyy-zzzz. Create environment first.",
  ),
};

export const stopExamples = {
  requests: {
    "This one": { workspaceId: "test-workspace-001", cloudRegion: "centralindia" },
    "Another one": named,
  },
  200: answered("It is stopped", "Workspace stopped successfully", {
    workspaceId: id,
    message: "Container deleted, volumes preserved. Restart anytime to resume work.",
  }),
  404: refused(
    "Stopped already",
    "Resource Not Found",
    404,
    "container not found for workspace clxxx-yyyy-zzzz. Already stopped?",
  ),
};

export const activityExamples = {
  requests: { "Somebody works in it": report },
  200: answered("What was taken", "Activity recorded successfully", { environmentId: id, ...report }),
};

export const deleteExamples = {
  requests: { "With all its files": { ...named, force: false }, "Although it runs": { ...named, force: true } },
  200: answered("It is gone", "Workspace deleted permanently", {
    workspaceId: id,
    message: "All data and resources have been permanently removed",
  }),
  409: refused("It runs", "Conflict", 409, `workspace ${id} is still running. Stop it first or use force=true`),
};
