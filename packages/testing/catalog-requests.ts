import type { Endpoint } from "#http/endpoint.ts";
import {
  callerNamed,
  developer,
  type HttpWorld,
  type HttpWorldOptions,
  httpWorld,
  loginBody,
  type Sent,
  second,
} from "./http-world.ts";
import { nodesOf } from "./memory-world.ts";

/** A request that an endpoint of the catalog answers with its success status. */
export interface GoodRequest {
  readonly method: string;
  readonly path: string;
  readonly sent: Sent;
}

/** The body of a submit with nothing but what is required. */
export const plainJob = { image: "pytorch/pytorch:2.1.0", instance_type: "p5.48xlarge" };

/** A job that always finds a machine in `catalogWorld`. */
export const smallJob = { ...plainJob, instance_type: "c7i.8xlarge" };

/** Whose key the operator's endpoints are asked with. */
export const operator = callerNamed("operator");

/** Whom the operator disables and enables: nobody else's key is used up by that. */
const guest = callerNamed("guest");

const githubUser = "octocat";
const SMALL_MACHINES = 200;

/** A world in which `goodRequest` succeeds for every endpoint: it has an operator, a guest and room for small jobs. */
export async function catalogWorld(options: HttpWorldOptions = {}): Promise<HttpWorld> {
  const world = await httpWorld({
    nodes: nodesOf({ h100: 2, "cpu-x86": SMALL_MACHINES }),
    ...options,
    callers: [operator, guest, ...(options.callers ?? [])],
    settings: { adminUsers: ["operator"], ...options.settings },
  });
  world.githubKeys.publish(githubUser, `ssh-ed25519 ${Buffer.alloc(51, "k").toString("base64")}`);
  await world.login(guest);
  return world;
}

/** A request that must succeed, with a thing of this key's user where the path needs one. */
export async function goodRequest(world: HttpWorld, endpoint: Endpoint, key: string): Promise<GoodRequest> {
  const [things, sender] = [await thingsOf(world, endpoint, key), await senderOf(world, endpoint, key)];
  const method = endpoint.method.toUpperCase();
  const body = bodies[`${method} ${endpoint.path}`]?.(world);
  const sent = { ...(!endpoint.public && { key: sender }), ...(body !== undefined && { body }) };
  return { method, path: pathOf(endpoint, things), sent };
}

/** Bodies of endpoints that need one, by route. */
const bodies: Readonly<Record<string, (world: HttpWorld) => unknown>> = {
  "POST /v1/auth/aws-login": () => loginBody(developer),
  "POST /v1/jobs/submit": () => plainJob,
  "POST /v1/jobs/{job_id}/extend": () => ({ extension_hours: 2 }),
  "POST /v1/jobs/{job_id}/users": () => ({ github_username: githubUser }),
  "POST /v1/disks": (world) => ({ disk_name: freshName(world) }),
  "POST /v1/disks/{disk_name}/rename": (world) => ({ new_name: freshName(world) }),
};

/** What rotating and revoking end is not the suite's own key. */
async function senderOf(world: HttpWorld, { admin, path }: Endpoint, key: string): Promise<string> {
  if (admin) return world.login(operator);
  return path.startsWith("/v1/keys") ? world.login(second) : key;
}

/** Parameters of a path, by name. */
export type Things = Readonly<Record<string, string>>;
type Maker = (world: HttpWorld, key: string) => Promise<Things>;

/** Things for a path's parameters that exist, and are in the state that the endpoint asks for. */
export async function thingsOf(world: HttpWorld, endpoint: Endpoint, key: string): Promise<Things> {
  const names = namesIn(endpoint.path);
  const makers = names.flatMap((name) => makersOfPath[endpoint.path] ?? makersOfName[name] ?? []);
  const made = await Promise.all([...new Set(makers)].map((make) => make(world, key)));
  return Object.assign({}, ...made);
}

/** The path with its parameters filled in, and as it stands where nobody says with what. */
export function pathOf({ path }: Pick<Endpoint, "path">, things: Things): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => things[name] ?? name);
}

function namesIn(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
}

const makersOfName: Readonly<Record<string, Maker>> = {
  job_id: async (world, key) => ({ job_id: await submitJob(world, key) }),
  disk_name: createDisk,
  operation_id: createDisk,
  prefix: async (world) => ({ prefix: (await world.login(second)).slice(0, 8) }),
  asset: async () => ({ asset: "start.js" }),
  username: async () => ({ username: "guest" }),
  // No machine of it is there: what is drained keeps no other request's job from starting.
  gpu_type: async () => ({ gpu_type: "t4" }),
};

const makersOfPath: Readonly<Record<string, Maker>> = {
  "/v1/jobs/{job_id}/users": startJob,
  "/v1/jobs/{job_id}/jupyter/enable": startJob,
  "/v1/jobs/{job_id}/jupyter/disable": startJob,
  "/v1/disks/{disk_name}/undelete": deleteDisk,
};

/** The id of a job that was just submitted. */
export async function submitJob(
  world: HttpWorld,
  key: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { job_id } = await ask(world, "POST", "/v1/jobs/submit", key, { ...plainJob, ...fields });
  return String(job_id);
}

/** A job that is active, although the operator may have paused admission before. */
async function startJob(world: HttpWorld, key: string): Promise<Things> {
  await ask(world, "POST", "/v1/admin/admission/resume", await world.login(operator));
  const job_id = await submitJob(world, key, smallJob);
  await world.deliver();
  return { job_id };
}

/** A disk that is available, and the operation that made it. */
async function createDisk(world: HttpWorld, key: string): Promise<Things> {
  const disk_name = freshName(world);
  const { operation_id } = await ask(world, "POST", "/v1/disks", key, { disk_name });
  await world.deliver();
  return { disk_name, operation_id: String(operation_id) };
}

async function deleteDisk(world: HttpWorld, key: string): Promise<Things> {
  const things = await createDisk(world, key);
  await ask(world, "DELETE", `/v1/disks/${things.disk_name}`, key);
  return things;
}

function freshName({ ctx }: HttpWorld): string {
  return `disk-${ctx.ids.uid()}`;
}

async function ask(
  world: HttpWorld,
  method: string,
  path: string,
  key: string,
  body?: unknown,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await world.request(method, path, { key, body });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}
