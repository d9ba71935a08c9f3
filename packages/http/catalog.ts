import type { Schedule } from "./cron.ts";
import type { Endpoint } from "./endpoint.ts";
import { type FunctionModule, importFunctions } from "./function-modules.ts";
import { inRoutingOrder } from "./routes.ts";
import type { Socket } from "./socket.ts";
import type { Consumer } from "./work.ts";

export interface Entry<Declaration> {
  readonly name: string;
  readonly file: string;
  readonly declaration: Declaration;
}

export interface Catalog {
  readonly endpoints: readonly Entry<Endpoint>[];
  readonly internal: readonly Entry<Endpoint>[];
  readonly consumers: readonly Entry<Consumer>[];
  readonly schedules: readonly Entry<Schedule>[];
  readonly fallbacks: readonly Entry<Fallback>[];
  readonly sockets: readonly Entry<Socket>[];
}

/** The function behind the gateway's default route: 404 or 405 in the envelope of the path's dialect. */
export interface Fallback {
  readonly kind: "fallback";
  readonly uses: readonly never[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
}

/** Imports all function files and sorts their exports. `root` ends with a slash. */
export async function loadCatalog(root: URL = new URL("../../functions/", import.meta.url)): Promise<Catalog> {
  const modules = await importFunctions(root);
  const endpoints = declared<Endpoint>(modules, "endpoint");
  const catalog = {
    endpoints: inRoutingOrder(endpoints.map((entry) => ({ ...entry.declaration, entry }))).map(({ entry }) => entry),
    internal: declared<Endpoint>(modules, "endpoint", "internal"),
    consumers: declared<Consumer>(modules, "consumer"),
    schedules: declared<Schedule>(modules, "schedule"),
    fallbacks: declared<Fallback>(modules, "fallback"),
    sockets: declared<Socket>(modules, "socket"),
  };
  requireFunctions(modules, Object.values(catalog).flat());
  return catalog;
}

const declarations: readonly string[] = ["endpoint", "internal", "consumer", "schedule", "fallback", "socket"];

/** knip treats all exports of a function file as used (knip.json), so a dead helper there would go unnoticed. */
function requireFunctions(modules: readonly FunctionModule[], entries: readonly Pick<Entry<unknown>, "file">[]): void {
  const declaring = new Set(entries.map(({ file }) => file));
  for (const { file, exported } of modules) {
    const advice = `it belongs in ${file.slice(0, file.lastIndexOf("/") + 1)}internal/`;
    if (!declaring.has(`functions/${file}`)) throw new Error(`functions/${file} declares no function: ${advice}`);
    const otherExport = Object.keys(exported).find((name) => name !== "handler" && !declarations.includes(name));
    if (otherExport !== undefined) throw new Error(`functions/${file} exports ${otherExport}: ${advice}`);
  }
}

function declared<Declaration extends { readonly kind: string }>(
  modules: readonly FunctionModule[],
  kind: Declaration["kind"],
  name: string = kind,
) {
  return modules.flatMap(({ file, exported }): Entry<Declaration>[] => {
    const declaration = exported[name];
    if (!isDeclared<Declaration>(declaration, kind)) return [];
    return [{ name: file.replace(/\.ts$/, ""), file: `functions/${file}`, declaration }];
  });
}

function isDeclared<Declaration extends { readonly kind: string }>(value: unknown, kind: string): value is Declaration {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}
