import type { ServerResponse } from "node:http";
import type { Phase } from "#core/environments/record/phases.ts";
import type { Environment } from "#core/environments/record/record.ts";

export interface Page {
  readonly status: number;
  readonly title: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const noKey: Page = {
  status: 401,
  title: "A key is needed",
  text: "Give your Berth API key as the password; the user name does not matter.",
  headers: { "WWW-Authenticate": 'Basic realm="Berth"' },
};
export const disabledUser: Page = { status: 403, title: "No access", text: "Your user account is disabled." };
export const otherSite: Page = { status: 403, title: "No access", text: "This was sent by a page of another site." };
export const unknown: Page = { status: 404, title: "Not found", text: "You have no environment with this address." };
export const badRequest: Page = { status: 400, title: "Bad request", text: "This request cannot be passed on." };
export const noAnswer: Page = { status: 502, title: "No answer", text: "It is running, and its page does not answer." };
export const lateAnswer: Page = {
  status: 504,
  title: "No answer",
  text: "It is running, and took too long to answer.",
};
export const slowUpload: Page = {
  status: 408,
  title: "Too slow",
  text: "Without a key, an upload must send 4 KiB a second.",
};
export const busy: Page = {
  status: 503,
  title: "Too many connections",
  text: "This page has as many open connections as it may have. Close some, or try again in a moment.",
  headers: { "Retry-After": "5" },
};
export const outage: Page = { status: 503, title: "Service unavailable", text: "Try again in a moment." };

export function notRunning({ phase }: Environment): Page {
  const headers = { "Retry-After": "2" };
  if (phase === "active") return { status: 503, title: "No page", text: words.active, headers };
  return { status: 503, title: "Not running", text: words[phase], headers };
}

const over = "It has ended.";
const words = {
  queued: "It waits in the queue.",
  preparing: "It is being prepared.",
  active: "It is running, and has no page to show.",
  stopping: "It is being stopped.",
  stopped: "It is stopped. Start it to see its page.",
  completed: over,
  expired: over,
  cancelled: over,
  failed: over,
  deleted: over,
} as const satisfies Record<Phase, string>;

export function show(outgoing: ServerResponse, { status, title, text, headers = {} }: Page): void {
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<h1>${title}</h1>
<p>${text}</p>
</html>\n`;
  outgoing.writeHead(status, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
    ...headers,
  });
  outgoing.end(outgoing.req.method === "HEAD" ? undefined : body);
}
