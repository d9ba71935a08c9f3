import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The bundle of the web console, which `npm start` makes. */
export const consoleDirectory = fileURLToPath(new URL("../../../node_modules/.cache/console", import.meta.url));

/** The console's own host, so that its cookie belongs to no other server of this machine. */
const consoleName = "berth.localhost";

/** Reports whether a request names the console's host, with any port: a tunnel may lead here from another one. */
export function isForConsole({ headers }: IncomingMessage): boolean {
  return /^berth\.localhost\.?(:\d{1,5})?$/i.test(headers.host ?? "");
}

/**
 * Answers requests for the pages and assets of the console, and reports whether it did. A browser that opens `/` at
 * another name of this machine is sent to the console. Without a bundle all goes to the API.
 */
export function answerConsole(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
  if (incoming.method !== "GET" && incoming.method !== "HEAD") return false;
  const path = (incoming.url ?? "/").replace(/[?#].*$/s, "");
  if (!isForConsole(incoming)) return path === "/" && redirect(incoming, outgoing);
  const asset = assetName.exec(path);
  if (asset) return sendAsset(outgoing, asset[0], asset[1] ?? "");
  const page = findPage(path, incoming);
  return page !== undefined && sendPage(outgoing, page);
}

const assetName = /^\/assets\/[a-z]+-[A-Z0-9]{8}\.(js|css)$/;
const screens = /^\/(?:login|new|jobs\/.+|disks(?:\/.+)?|cluster|account|admin(?:\/.+)?)$/;

function findPage(path: string, { headers }: IncomingMessage): string | undefined {
  if (/^\/jobs\/[^/]+\/terminal$/.test(path)) return "terminal.html";
  const isHome = path === "/" && /\btext\/html\b/i.test(headers.accept ?? "");
  return isHome || screens.test(path) ? "index.html" : undefined;
}

function sendPage(outgoing: ServerResponse, name: string): boolean {
  const content = read(name);
  if (!content) return false;
  return send(outgoing, content, {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": name === "terminal.html" ? terminalPolicy : policy,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  });
}

function sendAsset(outgoing: ServerResponse, path: string, kind: string): boolean {
  const content = read(path);
  if (!content) return false;
  return send(outgoing, content, {
    "Content-Type": kind === "js" ? "text/javascript; charset=utf-8" : "text/css; charset=utf-8",
    "Cache-Control": "public, max-age=31536000, immutable",
  });
}

function send(outgoing: ServerResponse, content: Buffer, headers: Readonly<Record<string, string>>): boolean {
  outgoing.writeHead(200, {
    ...headers,
    "Content-Length": content.length,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  });
  // Node sends no body to HEAD.
  outgoing.end(content);
  return true;
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(join(consoleDirectory, path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

const policyParts = [
  "default-src 'none'",
  "script-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
];
const policy = [...policyParts, "style-src 'self'", "connect-src 'self'"].join("; ");

/** xterm.js writes a style element of its own. The gateway's sockets have the names of environments. */
const terminalPolicy = [
  ...policyParts,
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self' ws://*.localhost:* wss:",
].join("; ");

/** Only a browser's navigation has these headers, so API clients get the API's answer. */
function redirect({ headers }: IncomingMessage, outgoing: ServerResponse): boolean {
  const [, port = ""] = /^(?:localhost|127\.0\.0\.1)(:\d{1,5})?$/i.exec(headers.host ?? "") ?? [];
  const isNavigation = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  if (port === "" || !isNavigation || !read("index.html")) return false;
  outgoing.writeHead(302, { Location: `http://${consoleName}${port}/`, "Cache-Control": "no-store", Vary: "Accept" });
  outgoing.end();
  return true;
}
