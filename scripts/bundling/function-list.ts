import type { Catalog, Entry } from "#http/catalog.ts";
import type { Schedule } from "#http/cron.ts";
import type { Endpoint } from "#http/endpoint.ts";
import type { Socket } from "#http/socket.ts";
import type { Consumer } from "#http/work.ts";
import { functionSettings } from "./function-settings.ts";

/** Returns functions.json, which stacks/ read. Throws for endpoints that the edge cannot serve. */
export async function functionList(catalog: Catalog): Promise<object[]> {
  const rows = functionRows(catalog);
  const settings = await functionSettings(rows);
  return rows.map((row) => ({ ...row, settings: settings.get(row.name) }));
}

/** Returns the entries without their settings, which need a build of every function. */
export function functionRows({ endpoints, consumers, schedules, fallbacks, sockets }: Catalog) {
  requireServable(endpoints.map(({ declaration }) => declaration));
  const rows = [
    ...endpoints.map((entry) => ({ ...common(entry), ...endpointPart(entry.declaration) })),
    ...consumers.map((entry) => ({ ...common(entry), ...consumerPart(entry.declaration) })),
    ...schedules.map((entry) => ({ ...common(entry), ...schedulePart(entry.declaration) })),
    ...sockets.map((entry) => ({ ...common(entry), ...socketPart(entry.declaration) })),
    ...fallbacks.map((entry) => ({ ...common(entry), route: "$default" })),
  ];
  return rows.sort((left, right) => (left.name < right.name ? -1 : 1));
}

interface Declaration {
  readonly kind: string;
  readonly uses: readonly string[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
}

function common({ name, file, declaration }: Entry<Declaration>) {
  const { kind, uses, timeoutSeconds, memoryMb } = declaration;
  return { name, file, kind, uses: uses.toSorted(), timeoutSeconds, memoryMb };
}

function endpointPart({ dialect, method, path, public: isPublic, functionUrl }: Endpoint) {
  const route = `${method.toUpperCase()} ${path}`;
  return { dialect: dialect.name, route, method, path, public: isPublic, ...(functionUrl && { functionUrl }) };
}

const EDGE_SECONDS = 30;

/**
 * Throws for endpoints that the edge cannot serve: a slow one without its own address, or one whose path has another
 * method too, because the edge distinguishes behaviours only by path (docs/architecture/edge.md#slow-calls).
 */
function requireServable(endpoints: readonly Endpoint[]): void {
  for (const { functionUrl, timeoutSeconds, method, path } of endpoints) {
    const others = endpoints.filter((otherEndpoint) => otherEndpoint.path === path && otherEndpoint.method !== method);
    const isServable = functionUrl ? others.length === 0 : timeoutSeconds < EDGE_SECONDS;
    if (!isServable)
      throw new Error(
        `${method.toUpperCase()} ${path} cannot take ${timeoutSeconds} s without its own address and path`,
      );
  }
}

function socketPart({ dialect, path }: Socket) {
  return { dialect: dialect.name, path };
}

function consumerPart({ queue }: Consumer) {
  return { queue };
}

function schedulePart({ minutes, atStart }: Schedule) {
  return { minutes, atStart };
}
