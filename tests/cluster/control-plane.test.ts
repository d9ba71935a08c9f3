import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { binaryPath, KUBERNETES_VERSION } from "./binary.ts";
import { kubeClient } from "./client.ts";
import { type Cluster, seen, startCluster } from "./cluster.ts";
import { isAlive } from "./container/supervisor-fixture.ts";
import { startControlPlane } from "./control-plane.ts";
import type { Pod } from "./kubelet/pod.ts";
import { endsWith, getJobs, type Job, makeJob, makeNamespace, podsOfJob } from "./objects.ts";

describe("a control plane", () => {
  it("has the reported version, speaks only TLS, and refuses requests without a token", async () => {
    const controlPlane = await startControlPlane(await binaryPath(process.env));
    try {
      const access = controlPlane.getAccess("admin");
      const [admin, stranger] = [kubeClient(access), kubeClient({ ...access, token: "guessed" })];

      const { body } = await admin.get<{ gitVersion: string }>("/version");
      const { status } = await stranger.get("/version");
      admin.close();
      stranger.close();

      expect(body.gitVersion).toBe(KUBERNETES_VERSION);
      expect(status).toBe(401);
      await expect(fetch(access.url)).rejects.toThrow();
    } finally {
      await controlPlane.stop();
    }
  });

  it("leaves neither a process nor a file", async () => {
    const controlPlane = await startControlPlane(await binaryPath(process.env));
    const { processIds } = controlPlane;
    expect(processIds.map(isAlive)).toEqual([true, true, true, true]);

    await controlPlane.stop();

    expect(processIds.map(isAlive)).toEqual([false, false, false, false]);
    await expect(access(controlPlane.home)).rejects.toThrow("ENOENT");
  });

  it("ends with its guarded processes and its directory when its parent is killed", async () => {
    const binary = await binaryPath(process.env);
    const program = `
      import { spawn } from "node:child_process";
      import { startControlPlane } from ${JSON.stringify(new URL("control-plane.ts", import.meta.url).href)};
      const { processIds, home, guard } = await startControlPlane(${JSON.stringify(binary)});
      const { pid } = spawn("sleep", ["infinity"], { detached: true, stdio: "ignore" });
      guard(pid);
      console.log(JSON.stringify({ processIds: [...processIds, pid], home }));`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = await once(child.stdout, "data");
    const { processIds, home } = JSON.parse(String(line)) as { processIds: number[]; home: string };
    expect(processIds.map(isAlive)).toEqual([true, true, true, true, true]);

    child.kill("SIGKILL");

    // On a timeout, the failure shows what was left.
    const soon = { timeout: 120_000, interval: 25 };
    await vi.waitFor(() => expect(processIds.filter(isAlive)).toEqual([]), soon);
    await vi.waitFor(() => expect(existsSync(home)).toBe(false), soon);
  });

  it("reports why it did not start", async () => {
    await expect(startControlPlane("/bin/false")).rejects.toThrow();
  });
});

describe("Jobs on pretend nodes", () => {
  let cluster: Cluster;
  let namespace: string;

  beforeAll(async () => {
    cluster = await startCluster();
    namespace = await makeNamespace(cluster.admin, "jobs");
    await cluster.addNodes([
      { name: "gpu-a", instanceType: "p5.48xlarge", zone: "us-east-1a" },
      { name: "gpu-b", instanceType: "p5.48xlarge", zone: "us-east-1b" },
    ]);
  });

  afterAll(() => cluster.stop());

  it("completes with the exit code of its container", async () => {
    await makeJob(cluster.admin, namespace, "done", { script: { main: { exitCode: 0 } }, gpus: 8 });

    const job = await seen<Job>(cluster.admin, getJobs(namespace), isOver("done"));
    const pod = await seen<Pod>(cluster.admin, podsOfJob(namespace, "done"), () => true);

    expect(job.status).toMatchObject({ succeeded: 1, conditions: [{}, { type: "Complete" }] });
    expect(pod.status).toMatchObject({
      phase: "Succeeded",
      containerStatuses: [{ state: terminated(0, "Completed") }],
    });
  });

  it("fails with the exit code of its container", async () => {
    await makeJob(cluster.admin, namespace, "fails", { script: { main: { exitCode: 42, afterMs: 50 } } });

    const job = await seen<Job>(cluster.admin, getJobs(namespace), isOver("fails"));
    const pod = await seen<Pod>(cluster.admin, podsOfJob(namespace, "fails"), () => true);

    expect(job.status.conditions).toContainEqual(
      expect.objectContaining({ type: "Failed", reason: "BackoffLimitExceeded" }),
    );
    expect(pod.status).toMatchObject({ phase: "Failed", containerStatuses: [{ state: terminated(42, "Error") }] });
  });

  it("runs a command on this machine if a script requests it", async () => {
    await makeJob(cluster.admin, namespace, "real", {
      script: { main: { process: true } },
      container: {
        command: ["sh", "-c", 'test "$GREETING" = hello || exit 9; exit 5'],
        env: [{ name: "GREETING", value: "hello" }],
      },
    });

    await seen<Job>(cluster.admin, getJobs(namespace), isOver("real"));
    const pod = await seen<Pod>(cluster.admin, podsOfJob(namespace, "real"), () => true);

    expect(pod.status).toMatchObject({ containerStatuses: [{ state: terminated(5, "Error") }] });
  });
});

describe("a control plane that crashed", () => {
  it.each(["etcd", "apiserver", "controller-manager", "scheduler"] as const)(
    "continues after its %s was killed",
    async (part) => {
      const cluster = await startCluster();
      try {
        const namespace = await makeNamespace(cluster.admin, "crash");
        await cluster.addNodes([{ name: "shared", instanceType: "m7i.8xlarge" }]);
        const file = join(cluster.controlPlane.home, "ends");
        const options = { script: { main: { process: true } }, container: endsWith(0, file) } as const;
        await makeJob(cluster.admin, namespace, "before", options);
        await seen<Pod>(cluster.admin, podsOfJob(namespace, "before"), ({ status }) => status.phase === "Running");

        await cluster.controlPlane.restart(part);
        await writeFile(file, "");
        await makeJob(cluster.admin, namespace, "after", options);

        const jobs = ["before", "after"].map((name) => seen<Job>(cluster.admin, getJobs(namespace), isOver(name)));
        expect((await Promise.all(jobs)).map(({ status }) => status.succeeded)).toEqual([1, 1]);
      } finally {
        await cluster.stop();
      }
    },
  );
});

function isOver(name: string) {
  return ({ metadata, status }: Job) =>
    metadata.name === name && (status.conditions ?? []).some(({ type }) => type === "Complete" || type === "Failed");
}

function terminated(exitCode: number, reason: string): object {
  return { terminated: { exitCode, reason } };
}
