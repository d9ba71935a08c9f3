import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, seen, startCluster } from "./cluster.ts";
import type { Pod } from "./kubelet/pod.ts";
import { getPods, makeJob, makeNamespace, must, podsOfJob } from "./objects.ts";
import { askPort, type ExecOptions, exec } from "./stream-client.ts";

let cluster: Cluster;
let namespace: string;

beforeAll(async () => {
  cluster = await startCluster();
  namespace = await makeNamespace(cluster.admin, "streams");
  await cluster.addNodes([{ name: "shared", instanceType: "m7i.8xlarge" }]);
});

afterAll(() => cluster.stop());

async function runningPod(name: string, script: object = {}, container: object = {}): Promise<string> {
  await makeJob(cluster.admin, namespace, name, { script: { main: script }, container });
  const { metadata } = await seen<Pod>(
    cluster.admin,
    podsOfJob(namespace, name),
    ({ status }) => status.phase === "Running",
  );
  return metadata.name;
}

describe.each(["v4.channel.k8s.io", "v5.channel.k8s.io"] as const)("exec by %s", (protocol) => {
  let pod: string;

  beforeAll(async () => {
    const env = [{ name: "GREETING", value: "hello" }];
    pod = await runningPod(`exec-${protocol.slice(0, 2)}`, {}, { env });
  });

  const run = (command: readonly string[], options: Partial<ExecOptions> = {}) =>
    exec(cluster.admin, { namespace, pod, command, protocol, ...options });

  it("separates both outputs and returns the exit code", async () => {
    const result = await run(["sh", "-c", "echo $GREETING; echo problem >&2; exit 3"]);

    expect(result).toMatchObject({
      stdout: "hello\n",
      stderr: "problem\n",
      status: {
        status: "Failure",
        reason: "NonZeroExitCode",
        details: { causes: [{ reason: "ExitCode", message: "3" }] },
      },
    });
  });

  it("succeeds", async () => {
    expect(await run(["true"])).toEqual({ stdout: "", stderr: "", status: { metadata: {}, status: "Success" } });
  });

  it("passes on input", async () => {
    expect(await run(["head", "-c", "5"], { stdin: "abcdefgh" })).toMatchObject({ stdout: "abcde" });
  });

  it("opens a terminal of the requested size", async () => {
    const command = [
      "sh",
      "-c",
      "test -t 0 || exit 9; until stty size | grep -q '^40 120$'; do sleep 0.02; done; stty size",
    ];

    const result = await run(command, { terminal: { columns: 120, rows: 40 } });

    expect(result).toMatchObject({ stdout: "40 120\r\n", status: { status: "Success" } });
  });

  it("carries five megabytes", async () => {
    expect((await run(["head", "-c", "5000000", "/dev/zero"])).stdout).toHaveLength(5_000_000);
  });

  it("reports a missing command", async () => {
    const { status } = await run(["no-such-command"]);

    expect(status).toMatchObject({ status: "Failure" });
    expect(status.message).toContain("no-such-command");
  });

  it("refuses an unknown container", async () => {
    await expect(run(["true"], { container: "other" })).rejects.toThrow("container other is not valid for pod");
  });
});

describe("exec", () => {
  it("ends the input of a command by v5", async () => {
    const pod = await runningPod("half-close");

    const result = await exec(cluster.admin, { namespace, pod, command: ["wc", "-c"], stdin: "x".repeat(100_000) });

    expect(result.stdout.trim()).toBe("100000");
  });
});

describe("logs", () => {
  it("are followed to the end of the container", async () => {
    const command = ["sh", "-c", 'echo first; read line < "$FIFO"; echo "$line"'];
    const fifo = `${cluster.controlPlane.home}/fifo`;
    const pod = await runningPod(
      "followed",
      { process: true },
      { command: ["sh", "-c", `mkfifo ${fifo}; ${command[2]}`], env: [{ name: "FIFO", value: fifo }] },
    );
    const response = await cluster.admin.open(`${getPods(namespace)}/${pod}/log?follow=true`);
    const parts = response[Symbol.asyncIterator]();
    const first = await parts.next();

    await exec(cluster.admin, { namespace, pod, command: ["sh", "-c", `echo second > ${fifo}`] });

    const second = await parts.next();
    const end = await parts.next();

    expect([first, second].map(({ value }) => String(value))).toEqual(["first\n", "second\n"]);
    expect(end.done).toBe(true);
  });

  it("are cut to the last lines, and have timestamps on request", async () => {
    const pod = await runningPod("tail", { output: "one\ntwo\nthree\n" });

    const tail = await cluster.admin.get(`${getPods(namespace)}/${pod}/log?tailLines=2`);
    const timed = await cluster.admin.get(`${getPods(namespace)}/${pod}/log?timestamps=true&tailLines=1`);

    expect(tail.body).toBe("two\nthree\n");
    expect(timed.body).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$/);
  });

  it("that the node does not find are an error text with status 200", async () => {
    const pod = await runningPod("lost-log", { output: "one\n", log: "missing once" });

    const first = await cluster.admin.get(`${getPods(namespace)}/${pod}/log`);
    const second = await cluster.admin.get(`${getPods(namespace)}/${pod}/log`);

    expect(first).toMatchObject({ status: 200, body: expect.stringMatching(/^unable to retrieve container logs for/) });
    expect(second).toMatchObject({ status: 200, body: "one\n" });
  });

  it("of a waiting container report what it waits for", async () => {
    await makeJob(cluster.admin, namespace, "waits", { script: { main: { pull: "fails" } } });
    const { metadata } = await seen<Pod>(cluster.admin, podsOfJob(namespace, "waits"), ({ status }) =>
      JSON.stringify(status).includes("ImagePullBackOff"),
    );

    const { status, body } = await cluster.admin.get<{ message: string }>(`${getPods(namespace)}/${metadata.name}/log`);

    expect(status).toBe(400);
    expect(body.message).toContain("waiting to start: ");
  });
});

describe("port-forward", () => {
  it("reaches a port of the pod", async () => {
    const server = createServer((socket) => socket.once("data", (data) => socket.end(`you said ${data}`)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const pod = await runningPod("ports", { ports: { 8888: (server.address() as AddressInfo).port } });

    const { answer } = await askPort(cluster.admin, { namespace, pod, port: 8888, bytes: "hello" });
    server.close();

    expect(answer).toBe("you said hello");
  });

  it("reports that no program listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const pod = await runningPod("closed-port", { ports: { 22: port } });

    const { problem } = await askPort(cluster.admin, { namespace, pod, port: 22, bytes: "" });

    expect(problem).toContain(`error forwarding port 22 to pod ${namespace}/${pod}`);
  });
});

describe("a user without the right", () => {
  it("is refused by the API server", async () => {
    const pod = await runningPod("private");
    const nobody = cluster.openClient("nobody");

    await expect(exec(nobody, { namespace, pod, command: ["true"] })).rejects.toThrow("403");
    expect((await nobody.get(`${getPods(namespace)}/${pod}/log`)).status).toBe(403);
    must(await cluster.admin.get(`${getPods(namespace)}/${pod}/log`));
  });
});
