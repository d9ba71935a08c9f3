import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { jobClient } from "./job-client.ts";
import { eventually } from "./processes.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";

let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-log-follow-");
});

afterEach(() => fixture.close());

interface Followed {
  readonly logs: string;
  readonly truncated: boolean;
  readonly next: string;
  readonly ended: boolean;
}

async function getFollower(stack: StackProcess, id: string) {
  const { API_KEY } = await stack.env();
  return async (after: string): Promise<Followed> => {
    const headers = { authorization: `Bearer ${API_KEY}` };
    const response = await fetch(`${stack.url}/v1/jobs/${id}/logs?after=${after}&wait=5`, { headers });
    return (await response.json()) as Followed;
  };
}

it("a follower neither misses nor repeats output of a repetitive log, although the stack is killed and restarted", async () => {
  const line = "epoch 1: 50%\\r\u00e9\u20ac\u{1F680} again";
  const print = (count: number) => `yes '${line}' | head -n ${count} | sed 's/\\\\r/\\r/'`;
  const waitFor = (file: string) => `until test -e ${file}; do sleep 0.05; done`;
  const command = [print(20_000), waitFor("go"), print(10_000), waitFor("on"), print(10_000)].join("; ");
  const whole = `${line.replace("\\r", "\r")}\n`.repeat(40_000);
  const parts = [20_000, 30_000, 40_000].map((count) => whole.slice(0, (whole.length / 40_000) * count));
  const first = await fixture.start();
  const client = jobClient(first.url, (await first.env()).API_KEY ?? "");
  const id = await client.submit({ instance_type: "g4dn.2xlarge", command });
  let [text, next, ended] = ["", "0", false];
  const readUpTo = async (stack: StackProcess, end: string) => {
    const follow = await getFollower(stack, id);
    while (text.length < end.length) {
      const answer = await follow(next);
      expect(answer.truncated).toBe(false);
      [text, next, ended] = [text + answer.logs, answer.next, answer.ended];
    }
    if (end === whole) while (!ended) ({ ended } = await follow(next));
  };

  await readUpTo(first, parts[0] ?? "");
  const [run = ""] = await eventually(
    () => fixture.runs(),
    (runs) => runs.length === 1,
  );
  const begin = (file: string) => writeFileSync(join(fixture.home, "runs", run, "0", "work", file), "");
  begin("go");
  await first.kill("SIGKILL");
  const second = await fixture.start();
  await readUpTo(second, parts[1] ?? "");
  begin("on");
  await readUpTo(second, whole);

  expect(text === whole).toBe(true);
  expect(next).toBe(String(Buffer.byteLength(whole)));
});
