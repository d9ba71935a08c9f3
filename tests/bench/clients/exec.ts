import { spawn } from "node:child_process";
import { once } from "node:events";
import { MOST_CONNECTIONS } from "#http/request/connection-limit.ts";
import type { Client } from "#local/server/socket-fixture.ts";
import { eventually, openFixture } from "#process/fixture.ts";
import { openShellStack, type ShellStack } from "../../e2e/shell-fixture.ts";
import { type Measure, median, type Row } from "../measure.ts";

const samples = 100;
const shells = 200;
const idle = 500;

/** Overhead of a command over its process, and latency with many shells open. */
export const exec: Measure = {
  name: "exec",
  async run() {
    const overhead = await overheadRows();
    const stack = await openShellStack();
    try {
      return [...overhead, ...(await shellRows(stack))];
    } finally {
      await stack.close();
    }
  },
};

async function overheadRows(): Promise<Row[]> {
  const fixture = openFixture();
  try {
    await fixture.compute.apply(fixture.runOf());
    await eventually(fixture.observe, (seen) => seen?.state === "ready");
    const [bare, inside]: [number[], number[]] = [[], []];
    for (let n = 0; n < samples; n += 1) {
      bare.push(await timed(() => once(spawn("/bin/true"), "exit")));
      inside.push(await timed(() => runTrue(fixture.compute, fixture.uid, `exec-${n}`)));
    }
    const note = `${samples} of \`true\`, isolation ${fixture.compute.isolation}; bare ${median(bare).toFixed(1)} ms`;
    return [
      {
        name: "exec overhead over a bare spawn p50",
        value: median(inside) - median(bare),
        unit: "ms",
        limit: 50,
        note,
      },
    ];
  } finally {
    await fixture.close();
  }
}

async function runTrue(compute: ReturnType<typeof openFixture>["compute"], uid: string, id: string): Promise<void> {
  await compute.startExec(uid, 1, {
    id,
    words: ["/bin/true"],
    stdin: "",
    env: {},
    directory: undefined,
    timeoutMs: 10_000,
  });
  const status = await compute.readExec(uid, 1, id, 4_000);
  if (status?.exitCode !== 0) throw new Error(`true ended with ${status?.exitCode}`);
}

/** Uses several users, because docs/apis/onmemos.md limits the shells of one user. */
async function shellRows({ another }: ShellStack): Promise<Row[]> {
  const users: (() => Promise<Client>)[] = [];
  const most = Math.ceil((idle + shells) / MOST_CONNECTIONS);
  for (let n = 0; n < most; n += 1) users.push(await another(`user-${n}`));
  const connect = async (n: number) => users[n % users.length]?.() as Promise<Client>;
  const waiting = await Promise.allSettled(Array.from({ length: idle }, (_, n) => connect(n)));
  const working = await Promise.allSettled(Array.from({ length: shells }, (_, n) => connect(idle + n)));
  const begun = performance.now();
  const ran = await Promise.allSettled(working.map(async (entry) => runIn(fulfilled(entry))));
  const seconds = (performance.now() - begun) / 1000;
  const answered = await Promise.allSettled(waiting.map(async (entry) => pingIn(fulfilled(entry))));
  const failures = [...ran, ...answered].filter((entry) => entry.status === "rejected");
  const failed = { name: `${shells} shells, ${idle} idle ones: failures`, value: failures.length, unit: "", limit: 0 };
  const name = `${shells} concurrent shells beside ${idle} idle ones`;
  return [
    {
      name: `${name}: a command in each`,
      value: seconds,
      unit: "s",
      note: `${most} users; clients in the same process`,
    },
    failures[0] ? { ...failed, note: `the first: ${failures[0].reason}` } : failed,
  ];
}

async function runIn({ send, next, ws }: Client): Promise<void> {
  send({ type: "command", command: "echo done" });
  const { stdout, message } = await next();
  ws.close();
  if (stdout !== "done\n") throw new Error(String(message));
}

async function pingIn({ send, next, ws }: Client): Promise<void> {
  send({ type: "ping" });
  const { type } = await next();
  ws.close();
  if (type !== "pong") throw new Error(String(type));
}

function fulfilled(entry: PromiseSettledResult<Client>): Client {
  if (entry.status === "rejected") throw entry.reason;
  return entry.value;
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await task();
  return performance.now() - begun;
}
