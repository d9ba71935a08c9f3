import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";
import { CommandResult } from "../../commands/wire.ts";
import { Session } from "../wire.ts";

const id = "ws-my-project-developer-1756062811";

/** As an example shows it; a workspace is shown so too, with more beside it. */
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

const waits = { 500: "It failed to start, or was not ready in time" };

export const document: NounDocument = {
  tag: "Sessions",
  schemas: { Session, CommandResult },
  fields: {
    session_id: "The session's id.",
    id: "The session's id, made of namespace, user and the second of its creation.",
    provider: "`cloud_run`, `gke` or `workstations`: as requested, or as `auto` chose.",
    "CreateSession.provider":
      "`auto`, `cloud_run`, `gke` or `workstations`. Of several with bars between them the first is taken.",
    template: "What is installed in the session.",
    "query.namespace": "Only those with this label.",
    "query.user": "Only those with this label.",
    namespace: "A label of your choice, kept in lower case. It is not an identity.",
    user: "A label of your choice, kept in lower case. It is not an identity.",
    status: "The current state.",
    url: "The address of the session's services.",
    websocket: "The path of the web shell.",
    ssh: "Whether the provider offers SSH.",
    details: "Names that existing clients read.",
    service_name: "`onmemos-` and the id.",
    bucket_name: "A name made of namespace, user and the number of the id.",
    expires_at: "When its time is over.",
    ttl_minutes: "Lifetime in minutes, counted from the creation.",
    "CreateSession.ttl_minutes":
      "Lifetime in minutes, counted from the creation. Defaults to 60, with `long_lived` to 1,440.",
    long_lived: "Whether the lifetime defaults to a day.",
    needs_ssh: "Influences only what `auto` chooses.",
    expected_duration_minutes: "Influences only what `auto` chooses.",
    env: "Environment variables. No answer ever shows them.",
    sessions: "Your sessions, newest first.",
    count: "Number of entries in the list.",
    command: "A shell command, at most 64 KiB.",
    timeout: "Time limit of the command in seconds.",
    stdout: "Standard output of the command, at most 1 MiB.",
    stderr: "Standard error of the command, at most 1 MiB.",
    returncode: "Exit code of the command; 124 after the time limit, 128 + n after signal n.",
    "CommandResult.success": "Whether `returncode` is 0. A failed command is still a successful request.",
    ok: "Always true.",
  },
  operations: {
    create: {
      id: "createSession",
      description: "Waits for at most 25 seconds until it runs, and answers with it as it is.",
      body: "CreateSession",
      reply: "Session",
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
      replies: { 201: { examples: { "It runs": session, [AS_PRINTED]: printed } } },
    },
    list: {
      id: "listSessions",
      reply: "SessionList",
      replies: { 200: { examples: { "One session": { sessions: [session], count: 1 } } } },
    },
    get: {
      id: "getSession",
      refusals: unknown,
      reply: "Session",
      replies: { 200: { examples: { "It runs": session } } },
    },
    execute: {
      id: "executeInSession",
      description: "Waits until the session runs, then for the command: 110 seconds in all.",
      body: "ExecuteCommand",
      reply: "CommandResult",
      requests: {
        "List files": { command: "ls -la", timeout: 120 },
        "Which Python": { command: "python --version", timeout: 30 },
      },
      replies: {
        200: {
          examples: {
            "A list of files": {
              stdout:
                "total 8\ndrwxr-xr-x 2 root root 4096 Aug 24 19:13 .\ndrwxr-xr-x 1 root root 4096 Aug 24 19:13 ..\n",
              stderr: "",
              returncode: 0,
              success: true,
            },
          },
        },
      },
      problems: waits,
      refusals: unknown,
    },
    connect: {
      id: "getSessionConnection",
      reply: "SessionConnection",
      replies: {
        200: { examples: { "Where it is": { url: session.url, websocket: session.websocket, ssh: false } } },
      },
    },
    delete: { id: "deleteSession", reply: "SessionDeleted", replies: { 200: { examples: { Deleted: { ok: true } } } } },
  },
};
