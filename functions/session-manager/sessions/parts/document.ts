import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";
import { ChatMessage, Processed, Queued, SessionState, SessionSummary } from "../wire.ts";

const uuid = "abc12345";
const times = { created_at: "2026-01-20T18:00:00Z", last_activity: "2026-01-20T18:05:00Z" };

const state = {
  uuid,
  replicas: 1,
  queue_length: 0,
  session: {
    user_id: "user@example.com",
    workspace_url: "https://vs-code-abc12345.berth.example",
    status: "running",
    ...times,
  },
  timestamp: "2026-01-20T18:06:00Z",
};

const created = {
  uuid,
  workspace_url: "https://vs-code-abc12345.berth.example",
  status: "created",
  user_id: "user@example.com",
  created_at: times.created_at,
};

export const document: NounDocument = {
  tag: "IDE sessions",
  schemas: {
    IdeSession: SessionState,
    IdeSessionDetails: SessionState.shape.session,
    IdeSessionSummary: SessionSummary,
    ChatProcessed: Processed,
    ChatQueued: Queued,
    ChatMessage,
  },
  fields: {
    uuid: "The session's id, 8 hexadecimal digits.",
    user_id: "A label of your choice. It is not an identity: the API key decides who you are.",
    workspace_url: "The address of VS Code once the session runs.",
    status: "The session's current state.",
    last_activity: "When the session was last used. Reading its state does not count.",
    replicas: "0 while the session sleeps, 1 while it has a container.",
    queue_length: "Number of messages that wait for the session.",
    session: "The session's owner, state and times.",
    timestamp: "When this state was read.",
    sessions: "Your sessions, newest first.",
    "Chat.message": "The message to the session, at most 64 KiB.",
    pod_response: "The session's answer, unchanged.",
    message_id: "The message's number in its session.",
    "ChatMessage.status":
      "`waiting` until it is delivered, then `answered` or `failed`; `expired` 24 hours after that.",
    "ChatMessage.pod_response": "The session's answer, unchanged; null unless the message was answered.",
    error: "Why there is no answer; null while it waits, and once it is answered.",
    action: "What was done.",
    scale: "`up` for more CPU and memory, `down` for less.",
  },
  operations: {
    create: {
      id: "createIdeSession",
      body: "CreateIdeSession",
      reply: "IdeSessionCreated",
      requests: { "A user's session": { user_id: "user@example.com" } },
      replies: {
        201: {
          examples: {
            Created: created,
            [AS_PRINTED]: { ...created, workspace_url: "https://vs-code-abc12345.preview.hyperbola.in" },
          },
        },
      },
    },
    list: {
      id: "listIdeSessions",
      reply: "IdeSessionList",
      replies: {
        200: { examples: { "One session": { total: 1, sessions: [{ uuid, ...state.session }] } } },
      },
    },
    get: { id: "getIdeSession", replies: { 200: { examples: { "It runs": state } } } },
    status: { id: "getIdeSessionStatus", replies: { 200: { examples: { "It runs": state } } } },
    chat: {
      id: "chatWithIdeSession",
      description: "Waits for at most 5 seconds for its answer. Messages to one that sleeps or is busy wait for it.",
      body: "Chat",
      requests: { Hello: { message: "Hello!" } },
      replies: {
        200: {
          content: { "application/json": Processed },
          examples: { "It answered": { uuid, status: "processed", pod_response: { reply: "Hi" }, message_id: "1" } },
        },
        202: {
          description: "The message waits for it",
          content: { "application/json": Queued },
          examples: {
            "It sleeps": { uuid, status: "queued", message: "Pod is waking up, message queued", message_id: "2" },
          },
        },
      },
    },
    "read-message": {
      id: "getIdeSessionMessage",
      parameters: { message_id: "2" },
      replies: {
        200: {
          examples: {
            "It was answered": {
              uuid,
              message_id: "2",
              status: "answered",
              pod_response: { reply: "Hi" },
              error: null,
            },
            "It waits": { uuid, message_id: "2", status: "waiting", pod_response: null, error: null },
          },
        },
      },
      problems: { 404: "There is no such session, or no such message of it" },
    },
    sleep: {
      id: "sleepIdeSession",
      reply: "IdeSessionAsleep",
      replies: { 200: { examples: { Sleeping: { uuid, action: "sleep", status: "sleeping" } } } },
    },
    wake: {
      id: "wakeIdeSession",
      reply: "IdeSessionWaking",
      replies: { 200: { examples: { Waking: { uuid, action: "wake", status: "waking" } } } },
    },
    scale: {
      id: "scaleIdeSession",
      body: "ScaleIdeSession",
      reply: "IdeSessionScaled",
      requests: { More: { scale: "up" }, Less: { scale: "down" } },
      replies: { 200: { examples: { Scaled: { uuid, action: "scale_up", status: "success" } } } },
    },
    delete: {
      id: "deleteIdeSession",
      reply: "IdeSessionDeleted",
      replies: { 200: { examples: { Deleted: { uuid, status: "terminated" } } } },
    },
  },
};
