import type { Ports } from "#core/context.ts";
import { countedPort } from "../../faults/counted-ports.ts";
import { type HttpWorld, httpWorld } from "../../worlds/http-world.ts";

export interface CountedWorld {
  readonly world: HttpWorld;
  readonly key: string;
  /** The AWS calls of one request, the key's read included. Throws when it does not succeed. */
  callsOf(method: string, path: string, body?: object): Promise<string[]>;
}

/** All endpoints on memory ports; each call of one that is an AWS service is noted as `table.get`. */
export async function countedWorld(): Promise<CountedWorld> {
  const made: string[] = [];
  const world = await httpWorld({ wrap: (ports) => counted(ports, made) });
  const key = await world.login();
  const callsOf = async (method: string, path: string, body?: object) => {
    // Past the 30 s for which a key is kept.
    world.clock.advance(31_000);
    made.length = 0;
    await ask({ world, key }, method, path, body);
    return [...made];
  };
  return { world, key, callsOf };
}

/** What one request is answered; throws when it does not succeed. */
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

/** The sealer's key is in this process, so it is none of them. */
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
