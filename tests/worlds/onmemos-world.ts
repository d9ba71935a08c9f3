import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { plainSession } from "../fixtures/catalog-requests.ts";
import { type HttpWorld, type HttpWorldOptions, httpWorld, type Sent } from "./http-world.ts";
import { newNodes } from "./memory-world.ts";

type Body = ReturnType<typeof JSON.parse>;

export interface Answer {
  readonly status: number;
  readonly body: Body;
}

/** A world in which sessions find room, and a user of it. */
export interface OnmemosWorld {
  readonly world: HttpWorld;
  readonly key: string;
  ask(method: string, path: string, body?: unknown, sent?: Omit<Sent, "body">): Promise<Answer>;
  /** Creates a session with these additional fields, and returns it. */
  create(more?: object): Promise<Body>;
  head(id: string): Environment;
}

export async function onmemosWorld(options: HttpWorldOptions = {}): Promise<OnmemosWorld> {
  const world = await httpWorld({ nodes: newNodes({ "cpu-shared": 2 }), ...options });
  const key = await world.login();
  const ask: OnmemosWorld["ask"] = async (method, path, body, sent = {}) => {
    const response = await world.request(method, path, { key, ...sent, body });
    return { status: response.status, body: await response.json() };
  };
  return {
    world,
    key,
    ask,
    create: async (more = {}) => (await ask("POST", "/v1/sessions", { ...plainSession, ...more })).body,
    head: (id) => {
      const item = world.table.all().find((it) => it.kind === "environment" && it.id === id);
      if (!item) throw new Error(`No head of ${id}`);
      return parseEnvironment(item);
    },
  };
}
