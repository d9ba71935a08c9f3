import { createRequire } from "node:module";

/**
 * The module node:http. An import would read each of its exports, and one of them loads all of fetch: 45 ms of
 * processor time and some MB in the supervisor of each home.
 */
export const http = createRequire(import.meta.url)("node:http") as typeof import("node:http");
