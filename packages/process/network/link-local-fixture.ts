import { once } from "node:events";
import { createServer } from "node:net";
import { formatScript, type Got, gotBy, inside } from "../attempts-fixture.ts";
import { openFixture } from "../fixture.ts";

/** Cloud metadata address, and an address that commands may reach (RFC 5737). */
export const [linkLocal, allowed] = ["169.254.169.254", "198.51.100.1"] as const;

export interface LinkLocalOutcome {
  readonly got: Readonly<Record<string, Got>>;
  /** Addresses that received a connection, from the attempts or afterwards from outside the sandbox. */
  readonly came: readonly string[];
}

const ways = { "by its routes": "", "past its routes": "--interface 'if!tap0'" };

/** Program of link-local.test.ts, for a network namespace that owns both addresses. Prints the outcome. */
async function main(): Promise<void> {
  const came: string[] = [];
  const server = createServer((socket) => {
    came.push(String(socket.localAddress));
    socket.on("error", () => undefined).end("HTTP/1.0 200 OK\r\n\r\nhello");
  });
  await once(server.listen(0, "0.0.0.0"), "listening");
  const { port } = server.address() as { port: number };
  const fixture = openFixture({ isolation: "bubblewrap", network: "own" });
  try {
    // A blocked attempt times out; the listener would also see one that got through late.
    const ask = (way: string, host: string, seconds: number) => `curl -sS -m ${seconds} ${way} http://${host}:${port}/`;
    const attempts = Object.fromEntries(
      Object.entries(ways).map(([name, way]) => [name, inside(ask(way, linkLocal, 1), ask(way, allowed, 30))]),
    );
    await fixture.compute.apply(fixture.runOf({ command: formatScript(attempts) }));
    const got = Object.fromEntries(gotBy(await fixture.seenScript(), attempts, {}));
    await (await fetch(`http://${linkLocal}:${port}/`)).text();
    process.stdout.write(JSON.stringify({ got, came } satisfies LinkLocalOutcome));
  } finally {
    server.close();
    await fixture.close();
  }
}

if (process.argv[1] === import.meta.filename) await main();
