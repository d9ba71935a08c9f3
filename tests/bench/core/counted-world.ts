import type { Ports } from "#core/context.ts";
import { countedPort } from "../../faults/counted-ports.ts";
import { type HttpWorld, httpWorld } from "../../worlds/http-world.ts";

export interface CountedWorld {
  readonly world: HttpWorld;
  readonly key: string;
  /** Returns the AWS calls of one request, including the read of its key. Throws if the request fails. */
  callsOf(method: string, path: string, body?: object): Promise<string[]>;
}

/** All endpoints on memory ports that record each AWS call as `table.get`. */
export async function countedWorld(): Promise<CountedWorld> {
  const made: string[] = [];
  const world = await httpWorld({ wrap: (ports) => counted(ports, made) });
  const key = await world.login();
  const callsOf = async (method: string, path: string, body?: object) => {
    // Keys are cached for 30 s.
    world.clock.advance(31_000);
    made.length = 0;
    await ask({ world, key }, method, path, body);
    return [...made];
  };
  return { world, key, callsOf };
}

export async function ask<Answer>(
  { world, key }: Pick<CountedWorld, "world" | "key">,
  method: string,
  path: string,
  body?: object,
): Promise<Answer> {
  const response = await world.request(method, path, { key, body });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** Leaves out the sealer, whose key is in this process. */
function counted(ports: Ports, made: string[]): Ports {
  const { table, queue, identity, volumes } = ports;
  return {
    ...ports,
    table: countedPort("table", table, made),
    queue: countedPort("queue", queue, made),
    identity: countedPort("identity", identity, made),
    volumes: countedPort("volumes", volumes, made),
  };
}
