import type { Ports } from "#core/context.ts";
import type { AwsCredentials, CallerIdentity } from "#core/ports/identity.ts";
import { type App, buildApp } from "#http/app.ts";
import { loadCatalog } from "#http/catalog.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { version } from "#http/version.ts";
import { memoryIdentity } from "../fakes/memory-identity.ts";
import { memoryLiveLogs } from "../fakes/memory-live-logs.ts";
import { testCliPackage } from "../fixtures/cli-package.ts";
import { recordingLog } from "../fixtures/log.ts";
import { type MemoryWorld, memoryWorld, type WorldOptions } from "./memory-world.ts";

export interface HttpWorld extends MemoryWorld {
  readonly app: App;
  readonly endpoints: readonly Endpoint[];
  readonly log: ReturnType<typeof recordingLog>;
  /** Sends a request to the app. A body other than a text is sent as JSON. */
  request(method: string, path: string, sent?: Sent): Promise<Response>;
  /** Logs a caller in, and returns the key. */
  login(caller?: Caller): Promise<string>;
}

export interface Sent {
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** User of the STS of these tests. */
export interface Caller extends AwsCredentials, CallerIdentity {
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
}

export interface HttpWorldOptions extends WorldOptions {
  /** Callers beside `developer` and `second`. */
  readonly callers?: readonly Caller[];
  readonly isStsDown?: () => boolean;
  /** Returns ports for the endpoints in place of the memory ports, such as ports that count or fail. */
  readonly wrap?: (ports: Ports) => Ports;
  /** If true, it reads logs live and streams answers, as an embedded stack does. */
  readonly streams?: true;
}

/** Returns the whole catalog in one app over the core with memory ports. Its STS knows two callers. */
export async function httpWorld(options: HttpWorldOptions = {}): Promise<HttpWorld> {
  const log = recordingLog();
  const world = await memoryWorld({ ...options, log });
  const { clock, table, queue, compute, blobs, volumes, githubKeys, machineGroups, fetch } = world;
  const { ids, sealer, settings } = world.ctx;
  const identity = memoryIdentity({
    callers: [developer, second, ...(options.callers ?? [])],
    now: () => clock.now(),
    isDown: options.isStsDown ?? (() => false),
  });
  const memoryPorts: Ports = {
    table,
    queue,
    compute,
    machineGroups,
    blobs,
    volumes,
    identity,
    sealer,
    githubKeys,
    fetch,
  };
  const ports = options.wrap?.(memoryPorts) ?? memoryPorts;
  const live = options.streams && { streams: true as const, liveLogs: memoryLiveLogs(compute, clock) };
  const about = { version, startedAt: clock.now(), isolation: "none", limits: "none", cli: testCliPackage };
  const deployment = { ...about, ...live };
  const endpoints = (await loadCatalog()).endpoints.map(({ declaration }) => declaration);
  const app = buildApp({ ports, clock, ids, log, settings, deployment }, endpoints);
  const request = async (method: string, path: string, sent: Sent = {}) => app.request(path, getInit(method, sent));
  return { ...world, app, endpoints, log, request, login: (caller = developer) => loginWith(request, caller) };
}

export const developer = callerNamed("developer");
export const second = callerNamed("second");

/** Returns a caller with this session name, by default in the account and role that tests allow. */
export function callerNamed(session: string, input: Partial<Caller> = {}): Caller {
  const account = input.account ?? "000000000000";
  const id = Buffer.from(`${account}/${session}`).toString("hex").toUpperCase();
  return {
    accessKeyId: `ASIA${id}`.slice(0, 128),
    secretAccessKey: `secret-of-${session}-`.padEnd(40, "S").slice(0, 128),
    sessionToken: `token-of-${encodeURIComponent(session)}-`.padEnd(100, "T"),
    account,
    arn: `arn:aws:sts::${account}:assumed-role/SSOCloudDevGpuReservation/${session}`,
    ...input,
  };
}

/** Returns the body of a login with credentials. */
export function loginBody({ accessKeyId, secretAccessKey, sessionToken }: AwsCredentials): Record<string, unknown> {
  return {
    aws_access_key_id: accessKeyId,
    aws_secret_access_key: secretAccessKey,
    aws_session_token: sessionToken,
  };
}

function getInit(method: string, { key, body, headers }: Sent): RequestInit {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    method,
    headers: { ...(key !== undefined && { Authorization: `Bearer ${key}` }), ...headers },
    ...(text !== undefined && { body: text }),
  };
}

async function loginWith(request: HttpWorld["request"], caller: Caller): Promise<string> {
  const response = await request("POST", "/v1/auth/aws-login", { body: loginBody(caller) });
  const answered = (await response.json()) as { readonly api_key?: unknown };
  if (typeof answered.api_key !== "string") throw new Error(`Login answered ${JSON.stringify(answered)}`);
  return answered.api_key;
}
