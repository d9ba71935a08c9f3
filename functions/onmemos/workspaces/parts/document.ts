import type { NounDocument } from "#http/noun-document.ts";
import { WorkspaceResult } from "../../commands/wire.ts";
import { session, document as sessions } from "../../sessions/parts/document.ts";
import { Workspace } from "../wire.ts";

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
  return { 200: { examples: { "It went well": result } } };
}

const waits = { 500: "It failed to start, or was not ready in time" };
const inQuery = "The fields may come in the query, as a form or as JSON; the query goes first.";

export const document: NounDocument = {
  tag: "Workspaces",
  also: sessions,
  schemas: { Workspace, WorkspaceResult },
  fields: {
    "query.namespace": "Only those with this label.",
    "query.user": "Only those with this label.",
    workspace_id: "The workspace's id.",
    "CreateWorkspace.ttl_minutes": "Lifetime in minutes, counted from the creation.",
    workspaces: "Your workspaces, newest first.",
    service_url: "Same as `url`.",
    bucket_name: "Same as `bucket_name` of `details`.",
    filestore_instance: "Always null.",
    code: "A Python program, at most 64 KiB.",
    "WorkspaceResult.command": "The command that ran.",
    "WorkspaceResult.success": "Whether `returncode` is 0. A failed command is still a successful request.",
    detail: "What is wrong, in words.",
  },
  operations: {
    create: {
      id: "createWorkspace",
      description: "Waits for at most 25 seconds until it runs, and answers with it as it is.",
      body: "CreateWorkspace",
      reply: "Workspace",
      requests: {
        "Half an hour of Python": { template: "python", namespace: "my-project", user: "developer", ttl_minutes: 30 },
      },
      replies: { 201: { examples: { "It runs": workspace } } },
    },
    list: {
      id: "listWorkspaces",
      parameters: { namespace: "my-project", user: "developer" },
      reply: "WorkspaceList",
      replies: { 200: { examples: { "One workspace": { workspaces: [workspace], count: 1 } } } },
    },
    get: { id: "getWorkspace", reply: "Workspace", replies: { 200: { examples: { "It runs": workspace } } } },
    execute: {
      id: "executeInWorkspace",
      description: inQuery,
      parameters: { command: "pwd", timeout: 30 },
      reply: "WorkspaceResult",
      replies: printed("pwd", "/workspace\n"),
      problems: waits,
    },
    runsh: {
      id: "runShellInWorkspace",
      description: inQuery,
      parameters: { command: "ls -la" },
      reply: "WorkspaceResult",
      replies: printed("ls -la", "total 0\n"),
      problems: waits,
    },
    runpython: {
      id: "runPythonInWorkspace",
      description: inQuery,
      parameters: { code: 'print("Hello World")' },
      reply: "WorkspaceResult",
      replies: printed('print("Hello World")', "Hello World\n"),
      problems: waits,
    },
    shell: {
      id: "openWorkspaceShell",
      description:
        "The web shell is a WebSocket at this path, with the key as `?api_key=`. Whoever asks for no WebSocket is told so.",
      replies: {
        426: {
          description: "Upgrade Required",
          examples: { "No WebSocket": { detail: "WebSocket upgrade required" } },
        },
      },
    },
    delete: {
      id: "deleteWorkspace",
      reply: "WorkspaceDeleted",
      replies: { 200: { examples: { Deleted: { message: "Workspace deleted successfully" } } } },
    },
  },
};
