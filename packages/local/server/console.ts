import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assetHeaders, type ConsolePage } from "#http/console-pages.ts";

/** The bundle of the web console, which `npm start` makes. */
export const consoleDirectory = fileURLToPath(new URL("../../../node_modules/.cache/console", import.meta.url));

/** The console's own host. Browsers send its cookie to every port of this host, but to no server at `localhost`. */
const consoleName = "berth.localhost";

/** Reports whether a request names the console's host, with any port: a tunnel may lead here from another one. */
export function isForConsole({ headers }: IncomingMessage): boolean {
  return /^berth\.localhost\.?(:\d{1,5})?$/i.test(headers.host ?? "");
}

/**
 * Answers requests for the pages and assets of the console, and reports whether it did. A browser that opens `/` at
 * another name of this machine is sent to the console. If there is no bundle, the API answers all requests.
 */
export function answerConsole(
  pages: readonly ConsolePage[],
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): boolean {
  if (incoming.method !== "GET" && incoming.method !== "HEAD") return false;
  const path = (incoming.url ?? "/").replace(/[?#].*$/s, "");
  if (!isForConsole(incoming)) return path === "/" && redirect(incoming, outgoing);
  if (assetName.test(path)) return sendFile(outgoing, path, assetHeaders(path));
  const page = findPage(pages, path, incoming);
  return page !== undefined && sendFile(outgoing, page.name, page.headers);
}

const assetName = /^\/assets\/[a-z]+-[A-Z0-9]{8}\.(?:js|css)$/;

function findPage(pages: readonly ConsolePage[], path: string, { headers }: IncomingMessage) {
  if (path === "/" && !/\btext\/html\b/i.test(headers.accept ?? "")) return undefined;
  return pages.find(({ paths }) => paths.test(path));
}

function sendFile(outgoing: ServerResponse, path: string, headers: Readonly<Record<string, string>>): boolean {
  const content = read(path);
  if (!content) return false;
  outgoing.writeHead(200, { ...headers, "Content-Length": content.length });
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

/** Only a browser's navigation has these headers, so API clients get the API's answer. */
function redirect({ headers }: IncomingMessage, outgoing: ServerResponse): boolean {
  const [, port = ""] = /^(?:localhost|127\.0\.0\.1)(:\d{1,5})?$/i.exec(headers.host ?? "") ?? [];
  const isNavigation = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  if (port === "" || !isNavigation || !read("index.html")) return false;
  outgoing.writeHead(302, { Location: `http://${consoleName}${port}/`, "Cache-Control": "no-store", Vary: "Accept" });
  outgoing.end();
  return true;
}
