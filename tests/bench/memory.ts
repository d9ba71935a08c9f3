import { readFileSync } from "node:fs";
import { submitJob, untilActive, wholeNode } from "./core/jobs.ts";
import type { Measure, Row } from "./measure.ts";
import { type LocalStack, withStack } from "./server/local-stack.ts";

const gets = 100_000;
/** V8 collects the old space only above a certain size. After this many requests, only leaks still grow. */
const fillingGets = 400_000;
const connections = 8;

export const memory: Measure = {
  name: "memory",
  run: () => withStack(`${wholeNode.type}=1`, measure),
};

async function measure(stack: LocalStack): Promise<Row[]> {
  const atStart = residentMb(stack.pid);
  const id = await submitJob(stack, 1);
  await untilActive(stack, id);
  const after = async (gets: number) => {
    const ask = async () => {
      for (let n = 0; n < gets / connections; n += 1) await stack.call("GET", `/v1/jobs/${id}`);
    };
    await Promise.all(Array.from({ length: connections }, ask));
    return residentMb(stack.pid);
  };
  const first = await after(gets);
  const filled = await after(fillingGets);
  const last = await after(gets);
  return [
    { name: "embedded stack: RSS at its start", value: atStart, unit: "MB", limit: 120 },
    { name: `embedded stack: RSS after ${gets} GETs`, value: first, unit: "MB", limit: 200 },
    { name: `embedded stack: RSS after ${fillingGets} more`, value: filled, unit: "MB", limit: 200 },
    // A leak of a hundred bytes per request would be 10 MB. Less than 5 MB is noise.
    { name: `embedded stack: growth by another ${gets}`, value: last - filled, unit: "MB", limit: 5 },
  ];
}

function residentMb(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
  return Number(kb) / 1024;
}
