import { disksOf, environmentKey } from "#core/store/keys.ts";
import { findApiKey } from "#core/users/record.ts";
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
/** The user of the published examples. */
const exampleUser = "jeanschmidt";
/** A key whose parts have the lengths that SSH writes before them (RFC 8709, section 4). */
const keyParts = [Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32)];
const publicKey = `ssh-ed25519 ${Buffer.concat(keyParts).toString("base64")}`;
const SMALL_MACHINES = 200;

/** A world in which `goodRequest` succeeds for every endpoint: it has an operator, a guest and room for small jobs. */
export async function catalogWorld(options: HttpWorldOptions = {}): Promise<HttpWorld> {
  const world = await httpWorld({
    nodes: nodesOf({ h100: 2, "cpu-x86": SMALL_MACHINES, "cpu-shared": SMALL_MACHINES }),
    ...options,
    callers: [operator, guest, ...(options.callers ?? [])],
    settings: { adminUsers: ["operator"], ...options.settings },
  });
  for (const user of [githubUser, exampleUser]) world.githubKeys.publish(user, publicKey);
  await world.login(guest);
  return world;
}

/** A request that must succeed, with a thing of this key's user where the path needs one. */
export async function goodRequest(world: HttpWorld, endpoint: Endpoint, key: string): Promise<GoodRequest> {
  const [things, sender] = [await thingsOf(world, endpoint, key), await senderOf(world, endpoint, key)];
  const method = endpoint.method.toUpperCase();
  const body = await bodies[`${method} ${endpoint.path}`]?.(world, sender);
  const sent = { ...(!endpoint.public && { key: sender }), ...(body !== undefined && { body }) };
  return { method, path: pathOf(endpoint, things), sent };
}

/** Bodies of endpoints that need one, by route. */
const bodies: Readonly<Record<string, (world: HttpWorld, key: string) => unknown>> = {
  "POST /v1/auth/aws-login": () => loginBody(developer),
  "POST /v1/jobs/submit": () => plainJob,
  "POST /v1/jobs/estimate": () => plainJob,
  "POST /v1/jobs/{job_id}/extend": () => ({ extension_hours: 2 }),
  "POST /v1/jobs/{job_id}/users": () => ({ github_username: githubUser }),
  "POST /v1/disks": (world) => ({ disk_name: freshName(world) }),
  "POST /v1/disks/{disk_name}/restore": (world) => ({ snapshot_id: keptSnapshot, new_name: freshName(world) }),
  "POST /v1/disks/{disk_name}/rename": (world) => ({ new_name: freshName(world) }),
  "POST /v1/admin/records/end": async (world, key) => ({
    key: await breakRecord(world, key, await submitJob(world, key)),
  }),
  "POST /session/create": () => newUser,
  "POST /v1/sessions": () => plainSession,
  "POST /v1/sessions/{session_id}/execute": () => ({ command: "python --version" }),
  "POST /v1/cloudrun/workspaces": () => plainSession,
  "POST /v1/cloudrun/workspaces/{workspace_id}/execute": () => ({ command: "pwd" }),
  "POST /v1/cloudrun/workspaces/{workspace_id}/runpython": () => ({ code: "print(1)" }),
  "POST /v1/cloudrun/workspaces/{workspace_id}/runsh": () => ({ command: "ls -la" }),
  "POST /api/instances": () => plainInstance,
  "POST /api/instances/start": () => ({ instanceName: plainInstance.name }),
  "POST /api/instances/stop": () => ({ instanceName: plainInstance.name }),
  "POST /session/{uuid}/chat": () => ({ message: "Hello!" }),
  "POST /api/v1/environments": (world) => workspaceOf(freshName(world)),
  "DELETE /api/v1/environments": async (world, key) => ({ ...(await createWorkspace(world, key)), force: true }),
  "POST /api/v1/environments/start": stopWorkspace,
  "POST /api/v1/environments/stop": createWorkspace,
};

/** Leaves of a job a record that nobody can read, and answers its key. */
async function breakRecord(world: HttpWorld, key: string, id: string): Promise<string> {
  const item = await world.table.get(environmentKey(await ownerOf(world, key), "gpu-dev", id));
  if (!item) throw new Error(`No record of job ${id}`);
  await world.table.put({ ...item, phase: "hibernating" } as typeof item);
  return `${item.pk}|${item.sk}`;
}

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
  const own = makersOfPath[endpoint.path];
  const makers = own ? [own] : names.flatMap((name) => makersOfName[name] ?? []);
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
  uuid: async (world, key) => ({ uuid: await createSession(world, key) }),
  session_id: async (world, key) => ({ session_id: await createOnmemosSession(world, key) }),
  workspace_id: async (world, key) => ({ workspace_id: await createOnmemosSession(world, key) }),
  instanceId: async (world, key) => ({ instanceId: await createInstance(world, key) }),
  job_id: async (world, key) => ({ job_id: await submitJob(world, key) }),
  id: async (world, key) => ({ id: (await createWorkspace(world, key)).workspaceId }),
  disk_name: createDisk,
  operation_id: createDisk,
  prefix: async (world) => ({ prefix: (await world.login(second)).slice(0, 8) }),
  delivery_id: startJobWithReceiver,
  file: async () => ({ file: "berth.tgz.sha256" }),
  asset: async () => ({ asset: "start.js" }),
  username: async () => ({ username: "guest" }),
  // No machine of it is there: what is drained keeps no other request's job from starting.
  gpu_type: async () => ({ gpu_type: "t4" }),
};

const makersOfPath: Readonly<Record<string, Maker>> = {
  "/v1/cloudrun/workspaces/{workspace_id}/shell": async () => ({ workspace_id: "ws-test-developer-123" }),
  "/session/backups/{name}": deleteSession,
  "/session/{uuid}/chat/{message_id}": postMessage,
  "/api/instances/start": nameInstance,
  "/api/instances/stop": nameInstance,
  "/api/instances/{instanceId}/stop": stopInstance,
  "/v1/admin/nodes/{name}/gone": lastNode,
  "/v1/admin/nodes/{name}/back": lastNode,
  "/v1/jobs/{job_id}/users": startJob,
  "/v1/jobs/{job_id}/jupyter/enable": startJob,
  "/v1/jobs/{job_id}/jupyter/disable": startJob,
  "/v1/disks/{disk_name}/undelete": deleteDisk,
  "/v1/disks/{disk_name}/restore": backUpDisk,
  "/v1/disks/{disk_name}/snapshots": backUpDisk,
};

/** The body of a create with nothing but what is required. */
export const plainInstance = { name: "my-instance", productName: "RTX 4090 24GB", templateId: "pytorch-jupyter" };

/** The id of an instance that was just created. */
async function createInstance(
  world: HttpWorld,
  key: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { instanceId } = await ask(world, "POST", "/api/instances", key, { ...plainInstance, ...fields });
  return String(instanceId);
}

/** One that is found by its name. */
async function nameInstance(world: HttpWorld, key: string): Promise<Things> {
  return { instanceId: await createInstance(world, key) };
}

/** One that is stopped: asked again, it is told the same. */
async function stopInstance(world: HttpWorld, key: string): Promise<Things> {
  const instanceId = await createInstance(world, key);
  await ask(world, "POST", `/api/instances/${instanceId}/stop`, key);
  return { instanceId };
}

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

const newUser = { user_id: "user@example.com" };

/** The body of an onmemos create with nothing but what is required. */
export const plainSession = { template: "python", namespace: "my-project", user: "developer" };

/** The id of an onmemos session that runs. */
async function createOnmemosSession(
  world: HttpWorld,
  key: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { id } = await ask(world, "POST", "/v1/sessions", key, { ...plainSession, ...fields });
  return String(id);
}

/** The id of a session that is awake. */
async function createSession(world: HttpWorld, key: string): Promise<string> {
  const { uuid } = await ask(world, "POST", "/session/create", key, newUser);
  await world.deliver();
  return String(uuid);
}

/** A message that a session which is awake got. */
async function postMessage(world: HttpWorld, key: string): Promise<Things> {
  const uuid = await createSession(world, key);
  const { message_id } = await ask(world, "POST", `/session/${uuid}/chat`, key, { message: "Hello!" });
  return { uuid, message_id: String(message_id) };
}

type WorkspaceBody = ReturnType<typeof workspaceOf>;

/** The body of the document's quick start, for this id. */
export function workspaceOf(workspaceId: string) {
  const names = { workspaceId, userId: "user123", name: "Test Workspace", cloudRegion: "centralindia" };
  return { ...names, cpuCores: 2, memoryGB: 4, storageGB: 20, baseImage: "node" };
}

/** A workspace that runs, although the operator may have paused admission before. */
async function createWorkspace(world: HttpWorld, key: string): Promise<WorkspaceBody> {
  await ask(world, "POST", "/v1/admin/admission/resume", await world.login(operator));
  const body = workspaceOf(freshName(world));
  await ask(world, "POST", "/api/v1/environments", key, body);
  return body;
}

async function stopWorkspace(world: HttpWorld, key: string): Promise<WorkspaceBody> {
  const body = await createWorkspace(world, key);
  await ask(world, "POST", "/api/v1/environments/stop", key, body);
  return body;
}

/** What was kept of a session that was deleted. */
async function deleteSession(world: HttpWorld, key: string): Promise<Things> {
  const uuid = await createSession(world, key);
  await ask(world, "DELETE", `/session/${uuid}`, key);
  const { backups } = await ask(world, "GET", "/session/backups", key);
  const kept = (backups as { name: string; uuid: string }[]).find((backup) => backup.uuid === uuid);
  return { name: kept?.name ?? "" };
}

/** A job whose receiver was told that it is active, and that delivery. */
async function startJobWithReceiver(world: HttpWorld, key: string): Promise<Things> {
  await ask(world, "POST", "/v1/admin/admission/resume", await world.login(operator));
  await submitJob(world, key, { ...smallJob, webhook_url: "https://hooks.example/" });
  await world.deliver();
  const { deliveries } = await ask(world, "GET", "/v1/webhooks/deliveries", key);
  const [newest] = deliveries as { readonly delivery_id: string }[];
  return { delivery_id: newest?.delivery_id ?? "" };
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

/** The snapshot of each disk that a restore is asked of; the document's example names the same. */
export const keptSnapshot = "snap-0fedcba9876543210";

/** A disk whose record has a backup. */
async function backUpDisk(world: HttpWorld, key: string): Promise<Things> {
  const things = await createDisk(world, key);
  const { items } = await world.table.query({ pk: disksOf(await ownerOf(world, key)) });
  const item = items.find(({ kind, name }) => kind === "disk" && name === things.disk_name);
  if (!item) throw new Error(`No record of disk ${things.disk_name}`);
  const snapshots = [{ id: keptSnapshot, at: world.clock.now(), completed: true }];
  const volume = item.volume ?? { id: "vol-kept", zone: "zone-a" };
  await world.table.put({ ...item, snapshots, volume } as typeof item);
  return things;
}

/** The uid of the one whose key it is. */
async function ownerOf({ ctx }: HttpWorld, key: string): Promise<string> {
  const found = await findApiKey(ctx, ctx.ids.hash(key));
  if (!found) throw new Error("Nobody has this key");
  return found.uid;
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
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

/** The last of many, and so one that no other request needs. */
async function lastNode({ compute }: Parameters<Maker>[0]): Promise<{ name: string }> {
  return { name: (await compute.listNodes()).at(-1)?.name ?? "" };
}
