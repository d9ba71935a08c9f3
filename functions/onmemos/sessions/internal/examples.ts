import { AS_PRINTED } from "#http/route.ts";

const id = "ws-my-project-developer-1756062811";

export const session = {
  id,
  provider: "cloud_run",
  namespace: "my-project",
  user: "developer",
  status: "running",
  url: "https://onmemos-ws-my-project-developer-1756062811.berth.example",
  websocket: `/v1/cloudrun/workspaces/${id}/shell`,
  ssh: false,
  details: {
    service_name: "onmemos-ws-my-project-developer-1756062811",
    bucket_name: "onmemos-my-project-developer-1756062811",
  },
  template: "python",
  created_at: "2025-08-24T19:13:31Z",
  expires_at: "2025-08-24T20:13:31Z",
  ttl_minutes: 60,
};

const printed = {
  ...session,
  url: "https://onmemos-ws-my-project-developer-1756062811-803927173002.us-central1.run.app",
};

const unknown = { 404: { "No such session": { detail: "Session not found" } } };

export const createExamples = {
  requests: {
    "A Python session": {
      provider: "auto",
      template: "python",
      namespace: "my-project",
      user: "developer",
      ttl_minutes: 60,
    },
    "Any of the providers": {
      provider: "auto|cloud_run|gke|workstations",
      template: "python",
      namespace: "my-project",
      user: "developer",
      ttl_minutes: 60,
    },
    "At Cloud Run for half an hour": {
      provider: "cloud_run",
      template: "python",
      namespace: "test",
      user: "developer",
      ttl_minutes: 30,
    },
    "A long-lived one": {
      provider: "gke",
      template: "python",
      namespace: "ml-training",
      user: "researcher",
      long_lived: true,
    },
  },
  201: { "It runs": session, [AS_PRINTED]: printed },
};

export const listExamples = {
  200: { "One session": { sessions: [session], count: 1 } },
};

export const getExamples = {
  200: { "It runs": session },
  ...unknown,
};

export const executeExamples = {
  requests: {
    "List files": { command: "ls -la", timeout: 120 },
    "Which Python": { command: "python --version", timeout: 30 },
  },
  200: {
    "A list of files": {
      stdout: "total 8\ndrwxr-xr-x 2 root root 4096 Aug 24 19:13 .\ndrwxr-xr-x 1 root root 4096 Aug 24 19:13 ..\n",
      stderr: "",
      returncode: 0,
      success: true,
    },
  },
  ...unknown,
};

export const connectExamples = {
  200: { "Where it is": { url: session.url, websocket: session.websocket, ssh: false } },
};

export const deleteExamples = {
  200: { Deleted: { ok: true } },
};
