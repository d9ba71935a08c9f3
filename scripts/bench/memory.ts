import { readFileSync } from "node:fs";
import { submitJob, untilActive, wholeNode } from "./jobs.ts";
import { type LocalStack, withStack } from "./local-stack.ts";
import type { Measure, Row } from "./measure.ts";

const gets = 100_000;
const connections = 8;

/** What the stack's process holds at its start, and whether requests make it grow; on Linux. */
export const memory: Measure = {
  name: "memory",
  run: () => withStack(`${wholeNode.type}=1`, measure),
};

async function measure(stack: LocalStack): Promise<Row[]> {
  const atStart = residentMb(stack.pid);
  const id = await submitJob(stack, 1);
  await untilActive(stack, id);
  const ask = async () => {
    for (let n = 0; n < gets / 2 / connections; n += 1) await stack.call("GET", `/v1/jobs/${id}`);
  };
  const halves: number[] = [];
  for (let half = 0; half < 2; half += 1) {
    await Promise.all(Array.from({ length: connections }, ask));
    halves.push(residentMb(stack.pid));
  }
  const [first = 0, second = 0] = halves;
  const note = `${first.toFixed(0)} MB after the first half`;
  return [
    { name: "embedded stack: RSS at its start", value: atStart, unit: "MB", limit: 120 },
    { name: `embedded stack: RSS after ${gets} GETs`, value: second, unit: "MB", limit: 200 },
    // A page more or less is chance; a hundred bytes kept of each request would be 5 MB.
    { name: "embedded stack: growth in the second half of them", value: second - first, unit: "MB", limit: 5, note },
  ];
}

function residentMb(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
  return Number(kb) / 1024;
}
