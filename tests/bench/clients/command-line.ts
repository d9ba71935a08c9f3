import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { packCli } from "../../../packages/cli/build.ts";
import { openServer } from "../../../packages/sdk/server-fixture.ts";
import { countWaitRequests } from "../../../packages/sdk/wait-requests-fixture.ts";
import { type Measure, median, percentileRows, type Row } from "../measure.ts";
import { withStack } from "../server/local-stack.ts";

const rounds = 15;

/** Start time of the packed command line beside Node's, requests of a wait, and lag of a followed log. */
export const commandLine: Measure = {
  name: "command-line",
  async run() {
    const place = mkdtempSync(join(tmpdir(), "berth-bench-cli-"));
    try {
      await packCli(join(place, "dist"));
      const program = join(place, "berth.mjs");
      cpSync(new URL("../../../packages/cli/berth.mjs", import.meta.url), program);
      // Compiled code is kept only in the state directory, which a login creates.
      mkdirSync(join(place, "berth"), { mode: 0o700 });
      return [...(await starts(place, program)), ...(await waitRows()), ...(await logLag(place, program))];
    } finally {
      rmSync(place, { recursive: true });
    }
  },
};

/** Alternates both programs, so a busy machine slows both. */
async function starts(place: string, program: string): Promise<Row[]> {
  const lists = { jobs: [], total: 0, limit: 500, offset: 0 };
  const server = await openServer(() => ({ body: lists }));
  const env = { ...process.env, XDG_CONFIG_HOME: place, BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
  const script = await bundledScript(place);
  const lines = {
    node: ["-e", "0"],
    version: [program, "--version"],
    help: [program, "--help"],
    script: [script],
    ls: [program, "ls"],
    completion: [program, "__complete", "show", ""],
  };
  const took = new Map<string, number[]>(Object.keys(lines).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, words] of Object.entries(lines)) took.get(name)?.push(await getTime(words, env));
  }
  server.close();
  const ratio = (name: string, base: string, limit: number): Row => {
    const pairs = (took.get(name) ?? []).map((ms, at) => ms / (took.get(base)?.[at] ?? Number.NaN));
    return { name: `berth ${name} / ${base}`, value: median(pairs), unit: "×", limit, note: `${rounds} pairs` };
  };
  const completion = { name: "berth completion", value: median(took.get("completion") ?? []), unit: "ms", limit: 300 };
  return [ratio("version", "node", 1.6), ratio("help", "node", 1.6), ratio("ls", "script", 1.25), completion];
}

/** Bundles a script that sends the requests of `berth ls` with the same fetch. */
async function bundledScript(place: string): Promise<string> {
  const source = join(place, "script-source.mjs");
  const outfile = join(place, "script.mjs");
  writeFileSync(
    source,
    `const headers = { authorization: "Bearer " + process.env.BERTH_API_KEY };
     for (const status of ["queued,preparing,active", "failed,cancelled"]) {
       const answer = await fetch(process.env.BERTH_URL + "/v1/jobs?status=" + status, { headers });
       process.stdout.write((await answer.json()).jobs.length + "\\n");
     }`,
  );
  await build({ entryPoints: [source], outfile, bundle: true, minify: true, format: "esm", platform: "node" });
  return outfile;
}

async function getTime(words: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, words, { env, stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.resume();
  child.stderr.resume();
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}`);
  return performance.now() - begun;
}

async function waitRows(): Promise<Row[]> {
  const { requests, notModified } = await countWaitRequests({ minutes: 10 });
  const otherValue = Math.round((100 * (requests - notModified)) / requests);
  return [
    { name: "requests of a 10-minute wait", value: requests, unit: "", limit: 80 },
    { name: "share of them that is not 304", value: otherValue, unit: "%", limit: 30 },
  ];
}

/** Each printed line is its own time. */
function logLag(place: string, program: string): Promise<Row[]> {
  return withStack("c7i.8xlarge=1", async ({ home }) => {
    const env = { ...process.env, XDG_CONFIG_HOME: place, BERTH_HOME: home };
    const command = "for i in $(seq 20); do date +%s%3N; sleep 0.7; done";
    await getTime([program, "up", "-t", "cpu", "clock", "--", command], env);
    const child = spawn(process.execPath, [program, "logs", "-f", "clock"], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lags: number[] = [];
    child.stdout.on("data", (part) => {
      for (const line of String(part).trim().split("\n")) lags.push(Date.now() - Number(line));
    });
    await once(child, "close");
    // The first read also returns lines from before the command started.
    return percentileRows("lag of berth logs -f", lags.slice(-15), { p99: 1000 });
  });
}
