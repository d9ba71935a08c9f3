import type { Endpoint } from "#http/endpoint.ts";
import type { EndpointEntry, FallbackEntry } from "../../../stacks/compute/functions-file.ts";
import { goodRequest } from "../../fixtures/catalog-requests.ts";
import { loginBody } from "../../worlds/http-world.ts";
import { type AuditPlace, loginRole } from "../audit-place.ts";
import type { Called } from "../function-process.ts";
import { gatewayEvent } from "../gateway-event.ts";
import type { Case } from "./case.ts";
import { openCaseWorld } from "./case-world.ts";
import { arrangements } from "./endpoint-arrangements.ts";

/** Lists requests that the endpoint answers with its success status, or with the status of their arrangement. */
export function endpointCases(place: AuditPlace, entry: EndpointEntry, endpoint: Endpoint): Case[] {
  return [undefined, ...(arrangements[entry.route] ?? [])].map((arrangement) => ({
    name: arrangement ? `${entry.route}, ${arrangement.name}` : entry.route,
    entry,
    async arrange() {
      const opened = await openCaseWorld(place);
      const { world, key, scene } = opened;
      const { method, path, sent } = await goodRequest(world, endpoint, key);
      const {
        at = path,
        body = await readBody(place, entry, sent.body),
        times = 1,
        ...more
      } = (await arrangement?.arrange(place, opened)) ?? {};
      for (const name of world.blobs.names()) await place.blobs.put(name, (await world.blobs.get(name)) as Uint8Array);
      return { ...(await scene(Array(times).fill(gatewayEvent(method, at, { ...sent, body })))), ...more };
    },
    async problems(answers, left) {
      const status = arrangement?.status ?? statuses[entry.route] ?? endpoint.status;
      return [...unlessStatus(answers, status), ...((await arrangement?.problems?.(left)) ?? [])];
    },
    mayLog: logged[entry.route] ?? [],
  }));
}

export function fallbackCase(place: AuditPlace, entry: FallbackEntry): Case {
  return {
    name: "GET /nothing-there",
    entry,
    arrange: async () => (await openCaseWorld(place)).scene([gatewayEvent("GET", "/nothing-there", {})]),
    problems: (answers) => unlessStatus(answers, 404),
  };
}

function unlessStatus(answers: readonly Called[], wanted: number): string[] {
  return answers.flatMap(({ value }) => {
    const { statusCode, body } = (value ?? {}) as { readonly statusCode?: number; readonly body?: string };
    // A rename succeeds even if EC2 refuses the tag of a backup, and reports the refusal in its body.
    const isRefused = body?.includes("EC2 refused it");
    return statusCode === wanted && !isRefused ? [] : [`answered ${statusCode}: ${body?.slice(0, 300)}`];
  });
}

/** Signs the login as a role of the account, which does not know the users of the tests' STS. */
async function readBody({ account }: AuditPlace, { route }: EndpointEntry, body: unknown): Promise<unknown> {
  return route === "POST /v1/auth/aws-login" ? loginBody(await account.credentialsOf(loginRole)) : body;
}

/** Statuses that differ from the memory world, because the machines of this cluster answer no requests. */
const statuses: Readonly<Record<string, number>> = { "POST /session/{uuid}/chat": 202 };

/** Log events that a case provokes, by route. */
const logged: Readonly<Record<string, readonly string[]>> = {
  "GET /v1/disks/{disk_name}/content": ["directory of disks made again"],
  "POST /v1/admin/records/end": ["unreadable record", "unreadable record ended"],
};
