import { randomBytes } from "node:crypto";
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import type { Exec } from "#core/ports/exec.ts";
import { execConformance } from "#tests/conformance/exec.ts";
import { kubernetesCompute } from "../compute.ts";
import { execInPod } from "../exec/pod-exec.ts";
import { behavioursIn } from "../fixtures/behaviours-fixture.ts";
import { type ClusterFixture, fixtureRun, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";
import { buildPaths } from "../paths.ts";
import { getLivingPod } from "../runs/read-run.ts";

let fixture: ClusterFixture;

beforeAll(async () => {
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }]);
});

afterAll(() => fixture.stop());

/** Starts a run and waits until it is ready. */
async function readyRun(env: Run["env"] = {}): Promise<{ uid: string; run: number }> {
  const run = fixtureRun({ command: undefined, env });
  const { uid } = run;
  await fixture.compute.apply(run);
  await fixture.eventually(
    () => fixture.compute.observe(uid, 1),
    (seen) => seen?.state === "ready",
  );
  return { uid, run: 1 };
}

/** A container here is only its processes, so leftover ones are ended as on a node. */
async function close({ uid }: { readonly uid: string }): Promise<void> {
  await fixture.clear();
  const base = `/tmp/.berth-${uid}-r1`;
  for (const file of globSync(`${base}/*/pid`)) {
    try {
      process.kill(-Number(readFileSync(file, "utf8")), "SIGKILL");
    } catch {}
  }
  while (globSync(`${base}/*/pid`).some((file) => !existsSync(join(file, "../ended")))) await sleep(20);
  rmSync(base, { recursive: true, force: true });
}

describe("kubernetes compute", () => {
  execConformance(async () => {
    const applied = await readyRun();
    return {
      compute: fixture.compute,
      applied,
      pass: sleep,
      close: () => close(applied),
      ...behavioursIn(fixture.files),
    };
  });
});

describe("a further command", () => {
  const ran = async (changes: Partial<Exec>, env: Run["env"] = {}) => {
    const applied = await readyRun(env);
    const id = randomBytes(8).toString("hex");
    const plain = { id, words: ["true"], stdin: "", env: {}, directory: undefined, timeoutMs: 20_000 };
    await fixture.compute.startExec(applied.uid, 1, { ...plain, ...changes });
    const status = await fixture.eventually(
      () => fixture.compute.readExec(applied.uid, 1, id, 1_000),
      (seen) => seen?.state === "ended",
    );
    await close(applied);
    return status;
  };

  it("has its exact words, input and variables, and those of the run", async () => {
    const odd = "a b\n'\"$(id) `id` \\ $HOME * é🚀\n";
    const script =
      "let s = ''; process.stdin.on('data', (d) => (s += d)).on('end', () => console.log(JSON.stringify([process.argv.slice(1), s, process.env.A, process.env.B])))";
    const words = ["node", "-e", script, odd, "", "-n"];

    const status = await ran({ words, stdin: `${odd}${"x".repeat(100_000)}`, env: { A: odd } }, { B: odd });

    expect(status).toMatchObject({ exitCode: 0, stderr: "" });
    const [args, input, ...variables] = JSON.parse(status?.stdout ?? "") as [string[], string, string, string];
    expect(args).toEqual([odd, "", "-n"]);
    expect(input).toBe(`${odd}${"x".repeat(100_000)}`);
    expect(variables).toEqual([odd, odd]);
  });

  it("runs in the requested directory, and reports where a shell was left", async () => {
    const script = 'pwd; cd /usr; pwd >"$BERTH_DIRECTORY_FILE"';

    const status = await ran({ words: ["sh", "-c", script], directory: "/var" });

    expect(status).toMatchObject({ stdout: "/var\n", directory: "/usr", exitCode: 0 });
  });

  it("that is missing, or ends by a signal, reports it as a shell would", async () => {
    expect(await ran({ words: ["/no/such/program"] })).toMatchObject({ exitCode: 127 });
    expect(await ran({ words: ["sh", "-c", "kill -KILL $$"] })).toMatchObject({ exitCode: 137, timedOut: false });
  });

  it("returns no more than the limit, whatever it leaves behind", async () => {
    let bytes = 0;
    const socket = (async (...args: Parameters<typeof fixture.client.socket>) => {
      const opened = await fixture.client.socket(...args);
      opened.on("message", (message: Buffer) => {
        bytes += message.length;
      });
      return opened;
    }) as typeof fixture.client.socket;
    const watched = kubernetesCompute({ ...fixture.options, client: { ...fixture.client, socket } });
    const applied = await readyRun();
    const words = ["sh", "-c", 'truncate -s 32M "$BERTH_DIRECTORY_FILE"; echo said'];
    const plain = { id: "large", words, stdin: "", env: {}, directory: undefined, timeoutMs: 20_000 };

    await fixture.compute.startExec(applied.uid, 1, plain);
    const status = await fixture.eventually(
      () => watched.readExec(applied.uid, 1, "large", 1_000),
      (seen) => seen?.state === "ended",
    );
    await close(applied);

    expect(status).toMatchObject({ stdout: "said\n", directory: null });
    expect(bytes).toBeLessThan(100_000);
  });

  it("whose exit code a full disk lost is no success", async () => {
    const applied = await readyRun();
    const plain = { id: "lost", words: ["false"], stdin: "", env: {}, directory: undefined, timeoutMs: 20_000 };
    const read = () => fixture.compute.readExec(applied.uid, 1, "lost", 1_000);
    await fixture.compute.startExec(applied.uid, 1, plain);
    await fixture.eventually(read, (seen) => seen?.state === "ended");
    writeFileSync(`/tmp/.berth-${applied.uid}-r1/lost/ended`, "");

    await expect(read()).rejects.toThrow("The state of the command is unknown");
    await close(applied);
  });

  it("fails if the shell of its image returns more than the limit", async () => {
    const applied = await readyRun();
    const paths = buildPaths(namespace);
    const { metadata } = await getLivingPod({ client: fixture.client, paths, deployment: "fixture" }, applied);
    const pod = `${paths.pods}/${metadata.name}`;
    const endless = ["/bin/sh", "-c", "head -c 16777216 /dev/zero"];

    const said = execInPod(fixture.client, {
      pod,
      container: "main",
      words: endless,
      stdin: Buffer.alloc(0),
      timeoutMs: 60_000,
      mostBytes: 1024 * 1024,
    });

    await expect(said).rejects.toMatchObject({ name: "ApiUnreachable", code: "too much" });
    await close(applied);
  });

  it("is not blocked by a leftover process with its output open", async () => {
    const words = ["sh", "-c", "sleep 600 & echo $!"];

    const status = await ran({ words });

    expect(status).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\n$/) });
  });

  it.each<[string, Partial<Exec>]>([
    ["an id that is a path", { id: "../x" }],
    ["an invalid variable", { env: { "A=B;": "c" } }],
    ["a NUL character", { words: ["a\0b"] }],
  ])("is refused with %s", async (_, changes) => {
    const plain = { id: "a", words: ["true"], stdin: "", env: {}, directory: undefined, timeoutMs: 1_000 };
    const applied = await readyRun();

    await expect(fixture.compute.startExec(applied.uid, 1, { ...plain, ...changes })).rejects.toThrow();

    expect(existsSync(`/tmp/.berth-${applied.uid}-r1`)).toBe(false);
    await close(applied);
  });
});
