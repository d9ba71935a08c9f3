import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { signalProcess } from "#process/supervisor/process-identity.ts";
import { isOver, jobClient } from "./job-client.ts";
import { canListProcesses, eventually, processesOfRun } from "./processes.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";

let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-restart-");
});

afterEach(() => fixture.close());

async function getClient(stack: StackProcess) {
  return jobClient(stack.url, (await stack.env()).API_KEY ?? "");
}

describe("the local stack", { retry: 0 }, () => {
  if (!canListProcesses) {
    it("needs a list of all processes", ({ skip }) => skip("this machine has no /proc"));
    return;
  }

  it.each(["SIGTERM", "SIGINT"] as const)(
    "leaves nothing behind after %s, and the next start reports the leftovers that it found",
    async (signal) => {
      const first = await fixture.start();
      const before = await getClient(first);
      const ids = await Promise.all([
        before.submit({ instance_type: "g4dn.2xlarge" }),
        before.submit({ instance_type: "p5.48xlarge", gpu_count: 16, command: "trap '' TERM; sleep 600; sleep 600" }),
        before.submit({ instance_type: "c7i.8xlarge", command: "setsid -f sleep 600; sleep 600" }),
      ]);
      await Promise.all(ids.map((id) => before.until(id, ({ status }) => status === "active")));
      const waiting = await before.submit({ instance_type: "g4dn.2xlarge" });

      const code = await first.kill(signal);
      const left = fixture.processes();

      expect([code, left]).toEqual([0, []]);
      const second = await fixture.start();
      expect(second.output()).toContain('"event":"runs found","adopted":0,"over":3,"ended":0');
      const after = await getClient(second);
      const jobs = await Promise.all(ids.map((id) => after.until(id, isOver)));
      for (const job of jobs) {
        expect([job.status, job.status_reason]).toEqual(["failed", "The local stack was stopped"]);
      }
      expect(await after.until(waiting, ({ status }) => status === "active")).toMatchObject({ status_reason: null });
    },
  );

  it("continues runs that survived SIGKILL: a command ends once, with its own exit code", async () => {
    const first = await fixture.start();
    const before = await getClient(first);
    const command = "echo began >> told; while ! test -e go; do sleep 0.05; done; exit 7";
    const id = await before.submit({ instance_type: "g4dn.2xlarge", command });
    const idle = await before.submit({ instance_type: "c7i.8xlarge" });
    await Promise.all([id, idle].map((name) => before.until(name, ({ status }) => status === "active")));
    const [run = ""] = await eventually(
      () => fixture.runs().filter((name) => wordsTold(name) === "began\n"),
      (began) => began.length === 1,
    );
    const living = processesOfRun(run).map(({ pid }) => pid);

    await first.kill("SIGKILL");
    const second = await fixture.start();
    const after = await getClient(second);

    expect((await after.get(id)).status).toBe("active");
    expect(processesOfRun(run).map(({ pid }) => pid)).toEqual(expect.arrayContaining(living.slice(0, 1)));
    expect(second.output()).toContain('"event":"runs found","adopted":2,"over":0,"ended":0');
    expect([fixture.runs().length, wordsTold(run)]).toEqual([2, "began\n"]);
    writeFileSync(join(fixture.home, "runs", run, "0", "work", "go"), "");
    const job = await after.until(id, isOver);
    expect([job.status, job.status_reason]).toEqual(["failed", "command exited with code 7"]);
    expect(fixture.runs().every((name) => name.endsWith("-r1"))).toBe(true);
    expect((await after.get(idle)).status).toBe("active");
  });

  it("leaves environments running on SIGUSR2, and the next start takes them over", async () => {
    const first = await fixture.start();
    const before = await getClient(first);
    const id = await before.submit({ instance_type: "g4dn.2xlarge", command: "sleep 600" });
    await before.until(id, ({ status }) => status === "active");
    const [run = ""] = fixture.runs();
    const living = processesOfRun(run).map(({ pid }) => pid);

    const code = await first.kill("SIGUSR2");
    const left = processesOfRun(run).map(({ pid }) => pid);
    const second = await fixture.start();

    expect([code, left]).toEqual([0, living]);
    expect(first.output()).toMatch(/^Stopping, and leaving 1 environment: developer\//m);
    expect(first.output()).toMatch(/^Stopped\. Environments go on, and the next start in .* takes them over\.$/m);
    expect(second.output()).toContain('"event":"runs found","adopted":1,"over":0,"ended":0');
    expect((await (await getClient(second)).get(id)).status).toBe("active");
    expect(processesOfRun(run).map(({ pid }) => pid)).toEqual(expect.arrayContaining(living));
  });

  it("notices at its next start the runs that died meanwhile", async () => {
    const first = await fixture.start();
    const before = await getClient(first);
    const id = await before.submit({ instance_type: "g4dn.2xlarge" });
    await before.until(id, ({ status }) => status === "active");
    const [run = ""] = fixture.runs();

    await first.kill("SIGKILL");
    for (const process of processesOfRun(run)) signalProcess(process, "SIGKILL");
    await eventually(
      () => fixture.processes().length,
      (left) => left === 0,
    );
    const after = await getClient(await fixture.start());

    const job = await after.until(id, isOver);
    expect([job.status, job.status_reason]).toEqual(["failed", "the environment's process was killed from outside"]);
  });
});

function wordsTold(run: string): string {
  try {
    return readFileSync(join(fixture.home, "runs", run, "0", "work", "told"), "utf8");
  } catch {
    return "";
  }
}
