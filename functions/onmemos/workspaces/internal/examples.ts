import { session } from "../../sessions/internal/examples.ts";

const id = "ws-my-project-developer-1756062811";

const workspace = {
  ...session,
  expires_at: "2025-08-24T19:43:31Z",
  ttl_minutes: 30,
  service_url: "https://onmemos-ws-my-project-developer-1756062811.berth.example",
  bucket_name: "onmemos-my-project-developer-1756062811",
  filestore_instance: null,
};

function printed(command: string, stdout: string) {
  const result = { stdout, stderr: "", returncode: 0, success: true, workspace_id: id, command };
  return { "It went well": result };
}

export const createExamples = {
  requests: {
    "Half an hour of Python": { template: "python", namespace: "my-project", user: "developer", ttl_minutes: 30 },
  },
  201: { "It runs": workspace },
};

export const listExamples = {
  200: { "One workspace": { workspaces: [workspace], count: 1 } },
};

export const getExamples = {
  200: { "It runs": workspace },
};

export const executeExamples = {
  200: printed("pwd", "/workspace\n"),
};

export const runshExamples = {
  200: printed("ls -la", "total 0\n"),
};

export const runpythonExamples = {
  200: printed('print("Hello World")', "Hello World\n"),
};

export const shellExamples = {
  426: { "No WebSocket": { detail: "WebSocket upgrade required" } },
};

export const deleteExamples = {
  200: { Deleted: { message: "Workspace deleted successfully" } },
};
