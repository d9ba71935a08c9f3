import type { Endpoint } from "#http/endpoint.ts";
import type { Caller, HttpWorld, Sent } from "./http-world.ts";
import { developer, loginBody } from "./http-world.ts";

/** A request that an endpoint of the catalog answers with its success status. */
export interface GoodRequest {
  readonly method: string;
  readonly path: string;
  readonly sent: Sent;
}

/** The body of a submit with nothing but what is required. */
export const plainJob = { image: "pytorch/pytorch:2.1.0", instance_type: "p5.48xlarge" };

/** Bodies of endpoints that need one, by route. */
const bodies: Readonly<Record<string, (caller: Caller) => unknown>> = {
  "/v1/auth/aws-login": loginBody,
  "/v1/jobs/submit": () => plainJob,
  "/v1/jobs/{job_id}/extend": () => ({ extension_hours: 2 }),
};

/** What each path parameter of the catalog is given: something that exists. */
const parameters: Readonly<Record<string, (world: HttpWorld, key: string) => Promise<string>>> = {
  job_id: submitJob,
  asset: async () => "start.js",
};

/** A request that must succeed, with a job of this key's user where the path needs one. */
export async function goodRequest(world: HttpWorld, endpoint: Endpoint, key: string): Promise<GoodRequest> {
  const body = bodies[endpoint.path]?.(developer);
  const path = await pathOf(endpoint, async (name) => (await parameters[name]?.(world, key)) ?? name);
  const sent = { ...(!endpoint.public && { key }), ...(body !== undefined && { body }) };
  return { method: endpoint.method.toUpperCase(), path, sent };
}

/** The path with each parameter filled in, and as it stands where nobody says with what. */
export async function pathOf(endpoint: Endpoint, fill: (name: string) => Promise<string>): Promise<string> {
  const segments = endpoint.path.split("/").map((segment) => {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    return name === undefined ? segment : fill(name);
  });
  return (await Promise.all(segments)).join("/");
}

/** The id of a job that was just submitted. */
export async function submitJob(
  world: HttpWorld,
  key: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const response = await world.request("POST", "/v1/jobs/submit", { key, body: { ...plainJob, ...fields } });
  const answered = (await response.json()) as { readonly job_id?: unknown };
  if (typeof answered.job_id !== "string") throw new Error(`Submit answered ${JSON.stringify(answered)}`);
  return answered.job_id;
}
