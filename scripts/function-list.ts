import type { Catalog, Entry } from "#http/catalog.ts";
import type { Schedule } from "#http/cron.ts";
import type { Endpoint } from "#http/endpoint.ts";
import type { Consumer } from "#http/work.ts";

/** functions.json: what stacks/ need to know of every function, sorted by name. */
export function functionList({ endpoints, consumers, schedules, fallbacks }: Catalog): object[] {
  const rows = [
    ...endpoints.map((entry) => ({ ...common(entry), ...endpointPart(entry.thing) })),
    ...consumers.map((entry) => ({ ...common(entry), ...consumerPart(entry.thing) })),
    ...schedules.map((entry) => ({ ...common(entry), ...schedulePart(entry.thing) })),
    ...fallbacks.map((entry) => ({ ...common(entry), route: "$default" })),
  ];
  return rows.sort((one, other) => (one.name < other.name ? -1 : 1));
}

interface Thing {
  readonly kind: string;
  readonly uses: readonly string[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
}

function common({ name, file, thing }: Entry<Thing>) {
  const { kind, uses, timeoutSeconds, memoryMb } = thing;
  return { name, file, kind, uses: uses.toSorted(), timeoutSeconds, memoryMb };
}

function endpointPart({ dialect, method, path, public: isPublic }: Endpoint) {
  return { dialect: dialect.name, route: `${method.toUpperCase()} ${path}`, method, path, public: isPublic };
}

function consumerPart({ queue }: Consumer) {
  return { queue };
}

function schedulePart({ minutes, atStart }: Schedule) {
  return { minutes, atStart };
}
