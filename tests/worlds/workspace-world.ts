import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Outcome } from "../fakes/memory-run.ts";
import { newWorkspace } from "../fixtures/catalog-requests.ts";
import { type HttpWorld, type HttpWorldOptions, httpWorld } from "./http-world.ts";
import { newNodes } from "./memory-world.ts";

const path = "/api/v1/environments";
export const workspaceId = "test-workspace-001";

export interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
  readonly body: any;
}

/** A world with room for workspaces, and a user who requests them. */
export interface WorkspaceWorld extends HttpWorld {
  readonly key: string;
  ask(method: string, path: string, body?: unknown, key?: string): Promise<Answered>;
  /** The document's quick start, with these fields changed. */
  create(fields?: object, key?: string): Promise<Answered>;
  start(fields?: object): Promise<Answered>;
  stop(fields?: object): Promise<Answered>;
  remove(fields?: object): Promise<Answered>;
  /** The answer of GET about the test's own workspace. */
  status(): Promise<string | undefined>;
  head(): Environment;
  /** The behaviour of runs that are created from now on. */
  programAll(outcome: Outcome): void;
}

export async function workspaceWorld(options: HttpWorldOptions = {}): Promise<WorkspaceWorld> {
  const world = await httpWorld({ nodes: newNodes({ "cpu-shared": 2 }), ...options });
  const key = await world.login();
  const ask = async (method: string, at: string, body?: unknown, by = key): Promise<Answered> => {
    const response = await world.request(method, at, { key: by, body });
    return { status: response.status, body: await response.json() };
  };
  const named = { workspaceId, cloudRegion: "centralindia" };
  const apply = world.compute.apply;
  return {
    ...world,
    key,
    ask,
    create: (fields = {}, by = key) => ask("POST", path, { ...newWorkspace(workspaceId), ...fields }, by),
    start: (fields = {}) => ask("POST", `${path}/start`, { ...newWorkspace(workspaceId), ...fields }),
    stop: (fields = {}) => ask("POST", `${path}/stop`, { ...named, ...fields }),
    remove: (fields = {}) => ask("DELETE", path, { ...named, ...fields }),
    status: async () => (await ask("GET", `${path}/${workspaceId}`)).body.data?.environment.status,
    head: () => getHead(world),
    programAll: (outcome) => {
      const programmed: typeof apply = async (run) => {
        world.compute.program(run.uid, outcome);
        await apply(run);
      };
      Object.assign(world.compute, { apply: programmed });
    },
  };
}

function getHead({ table }: HttpWorld): Environment {
  const item = table.all().find(({ kind, sk }) => kind === "environment" && sk === workspaceId);
  if (!item) throw new Error(`No user has the workspace ${workspaceId}`);
  return parseEnvironment(item);
}
