import { AS_PRINTED } from "#http/route.ts";

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

export const createExamples = {
  requests: { "A user's session": { user_id: "user@example.com" } },
  201: {
    Created: created,
    [AS_PRINTED]: { ...created, workspace_url: "https://vs-code-abc12345.preview.hyperbola.in" },
  },
};

export const listExamples = {
  200: { "One session": { total: 1, sessions: [{ uuid, ...state.session }] } },
};

export const getExamples = {
  200: { "It runs": state },
};

export const statusExamples = {
  200: { "It runs": state },
};

export const chatExamples = {
  requests: { Hello: { message: "Hello!" } },
  200: { "It answered": { uuid, status: "processed", pod_response: { reply: "Hi" }, message_id: "1" } },
  202: {
    "It sleeps": { uuid, status: "queued", message: "Pod is waking up, message queued", message_id: "2" },
  },
};

export const readMessageExamples = {
  200: {
    "It was answered": {
      uuid,
      message_id: "2",
      status: "answered",
      pod_response: { reply: "Hi" },
      error: null,
    },
    "It waits": { uuid, message_id: "2", status: "waiting", pod_response: null, error: null },
  },
};

export const sleepExamples = {
  200: { Sleeping: { uuid, action: "sleep", status: "sleeping" } },
};

export const wakeExamples = {
  200: { Waking: { uuid, action: "wake", status: "waking" } },
};

export const scaleExamples = {
  requests: { More: { scale: "up" }, Less: { scale: "down" } },
  200: { Scaled: { uuid, action: "scale_up", status: "success" } },
};

export const deleteExamples = {
  200: { Deleted: { uuid, status: "terminated" } },
};
