import { loadCatalog } from "#http/catalog.ts";
import type { FunctionEntry } from "../../../stacks/compute/functions-file.ts";
import type { AuditPlace } from "../audit-place.ts";
import type { Case } from "./case.ts";
import { endpointCases, fallbackCase } from "./endpoint-cases.ts";
import { scheduleCases } from "./schedule-cases.ts";
import { socketCases } from "./socket-cases.ts";
import { consumerCases } from "./worker-cases.ts";

export async function buildCases(place: AuditPlace, functions: readonly FunctionEntry[]): Promise<Case[]> {
  const endpoints = (await loadCatalog()).endpoints.map(({ declaration }) => declaration);
  return functions.flatMap((entry): Case[] => {
    if (entry.kind === "consumer") return consumerCases(place, entry);
    if (entry.kind === "schedule") return scheduleCases(place, entry);
    if (entry.kind === "socket") return socketCases(place, entry);
    if (entry.kind === "fallback") return [fallbackCase(place, entry)];
    const endpoint = endpoints.find(({ path, method }) => path === entry.path && method === entry.method);
    if (!endpoint) throw new Error(`The catalog has no ${entry.route}`);
    return endpointCases(place, entry, endpoint);
  });
}
