import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { plainInstance } from "../fixtures/catalog-requests.ts";
import { type HttpWorldOptions, httpWorld, second } from "./http-world.ts";
import { newNodes } from "./memory-world.ts";

type Body = ReturnType<typeof JSON.parse>;

export interface Answer {
  readonly status: number;
  readonly body: Body;
}

/** Returns a world with room for instances, and by default a ready instance. */
export async function instanceWorld({ waitMs = 10_000, ...options }: HttpWorldOptions & { waitMs?: number } = {}) {
  const world = await httpWorld({ nodes: newNodes({ a10g: 2 }), ...options });
  const key = await world.login();
  const stranger = await world.login(second);
  const askAs =
    (asker: string) =>
    async (method: string, path: string, body?: unknown): Promise<Answer> => {
      const response = await world.request(method, path, { key: asker, body });
      return { status: response.status, body: await response.json() };
    };
  const ask = askAs(key);
  const create = (fields: object = {}) => ask("POST", "/api/instances", { ...plainInstance, ...fields });
  const created = await create();
  const id = String(created.body.instanceId);
  if (waitMs > 0) await world.advance(waitMs);
  const head = (which = id): Environment => {
    const item = world.table.all().find((item) => item.kind === "environment" && item.id === which);
    if (!item) throw new Error(`No head of ${which}`);
    return parseEnvironment(item);
  };
  const show = async (which = id): Promise<Body> => (await ask("GET", `/api/instances/${which}`)).body;
  return { world, key, ask, asStranger: askAs(stranger), create, created, id, head, show };
}
