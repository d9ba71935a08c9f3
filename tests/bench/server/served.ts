import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent } from "node:http";
import { join } from "node:path";
import { submitJob, untilActive, wholeNode } from "../core/jobs.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { callJson, type LocalStack, readCpu, withStack } from "./local-stack.ts";

const rounds = 5;
const input = 2_000;
/** 1,650 jobs wait at the end, which needs a raised limit per user. */
const submitted = 300;

/** CPU time of one request, beside a bare Hono GET (Linux). */
export const served: Measure = {
  name: "served",
  run: () => withStack(`${wholeNode.type}=1`, measure, { MAX_WAITING_PER_USER: "2000" }),
};

async function measure(stack: LocalStack): Promise<Row[]> {
  const id = await submitJob(stack, 1);
  await untilActive(stack, id);
  const bare = await startBare();
  const found: Record<"bare" | "get" | "submit", Cost[]> = { bare: [], get: [], submit: [] };
  try {
    for (let round = 0; round < rounds; round += 1) {
      found.bare.push(await getCost(bare.pid, input, bare.get));
      found.get.push(await getCost(stack.pid, input, () => stack.call("GET", `/v1/jobs/${id}`)));
      found.submit.push(await getCost(stack.pid, submitted, () => submitJob(stack, 8)));
    }
  } finally {
    bare.stop();
  }
  return listRows(found);
}

interface Cost {
  readonly cpuMs: number;
  readonly perSecond: number;
}

function listRows({ bare, get, submit: submits }: Readonly<Record<"bare" | "get" | "submit", readonly Cost[]>>): Row[] {
  const cpu = (costs: readonly Cost[]) => median(costs.map(({ cpuMs }) => cpuMs));
  const rate = (costs: readonly Cost[]) => median(costs.map(({ perSecond }) => perSecond));
  const note = `median of ${rounds} rounds, one client; bare: ${cpu(bare).toFixed(3)} ms of CPU, ${rate(bare).toFixed(0)}/s`;
  return [
    { name: "embedded stack: CPU of GET job / bare GET", value: cpu(get) / cpu(bare), unit: "×", limit: 6, note },
    {
      name: "embedded stack: CPU of submit / bare GET, the first 300",
      value: (submits[0]?.cpuMs ?? 0) / cpu(bare),
      unit: "×",
      note: "on code that is not compiled yet",
    },
    {
      name: "embedded stack: CPU of submit / bare GET, to 1,650 waiting",
      value: cpu(submits) / cpu(bare),
      unit: "×",
      limit: 25,
      note: "with the plans made meanwhile; they wait for capacity and are not started",
    },
    { name: "bare GETs per second / GETs of a job", value: rate(bare) / rate(get), unit: "×", limit: 1 / 0.3 },
  ];
}

async function getCost(pid: number, times: number, request: () => Promise<unknown>): Promise<Cost> {
  for (let n = 0; n < times / 10; n += 1) await request();
  const [cpuBefore, begun] = [readCpu(pid), performance.now()];
  for (let n = 0; n < times; n += 1) await request();
  const seconds = (performance.now() - begun) / 1000;
  return { cpuMs: (readCpu(pid) - cpuBefore) / times, perSecond: times / seconds };
}

async function startBare() {
  const program = join(import.meta.dirname, "bare-server.ts");
  const child = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const agent = new Agent({ keepAlive: true });
  const url = `${String(line).trim()}/v1/jobs/x`;
  return {
    pid: child.pid ?? 0,
    get: () => callJson(url, { method: "GET", headers: {}, agent }, undefined),
    stop() {
      agent.destroy();
      child.kill();
    },
  };
}
