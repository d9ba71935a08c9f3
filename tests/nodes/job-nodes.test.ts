import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type DriverFixture, openDriverFixture, untilRead } from "./driver-fixture.ts";

let fixture: DriverFixture;

beforeAll(async () => {
  fixture = await openDriverFixture({ nodes: [{ name: "one", instanceType: "p5.48xlarge" }] });
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

afterEach(() => fixture.clear());

/** Waits for SIGTERM, and runs these words then. */
const untilTerm = (words: string) => `trap '${words}' TERM; echo begun; while :; do sleep 0.1; done`;

describe("a job on a real node", () => {
  it("starts from its image, takes commands, and its last words after SIGTERM are in its log", async () => {
    const command = untilTerm(`echo checkpoint saved to /data/step-4711; ${untilRead}; exit 3`);
    const run = await fixture.applied({ command, env: { STEP: "4711" } });

    const ready = await fixture.until(run, (seen) => seen?.state === "ready");
    const log = await fixture.logUntil(run, (text) => text !== "");
    const inside = await fixture.exec(run, ["sh", "-c", 'cat /etc/debian_version; echo "$STEP" >&2; exit 7']);
    const wasEnded = await fixture.compute.terminate(run.uid, 1, 10);
    const ended = await fixture.until(run, (seen) => seen?.state === "ended");
    const lastWords = await fixture.logUntil(run, () => true);
    await fixture.compute.remove(run.uid, 1, { graceSeconds: 0, force: false });
    await fixture.until(run, (seen) => seen === undefined);

    expect(ready).toMatchObject({ started: true, nodes: [{ name: "one", silent: null }] });
    expect(log).toBe("begun\n");
    expect(inside).toMatchObject({ stdout: expect.stringMatching(/^12\.\d+\n$/), stderr: "4711\n", exitCode: 7 });
    expect(wasEnded).toBe(true);
    expect(ended).toMatchObject({ started: true });
    expect(lastWords).toBe("begun\ncheckpoint saved to /data/step-4711\n");
  });

  it("that ignores SIGTERM is killed after its grace period, and keeps its log", async () => {
    const run = await fixture.applied({ command: untilTerm("echo not yet") });
    await fixture.begun(run);

    await fixture.compute.terminate(run.uid, 1, 10);
    await fixture.until(run, (seen) => seen?.state === "ended");

    expect(await fixture.logUntil(run, () => true)).toBe("begun\nnot yet\n");
  });

  it("that prints a lot after SIGTERM keeps all of it, in order", async () => {
    const run = await fixture.applied({ command: untilTerm(`seq 1 5000; printf end; ${untilRead}; exit 0`) });
    await fixture.begun(run);

    await fixture.compute.terminate(run.uid, 1, 10);
    await fixture.until(run, (seen) => seen?.state === "ended");
    const lines = (await fixture.logUntil(run, () => true)).split("\n");

    expect(lines).toEqual(["begun", ...Array.from({ length: 5_000 }, (_, at) => String(at + 1)), "end"]);
  });

  it("ends by itself with its exit code and its whole log", async () => {
    const run = await fixture.applied({ command: "echo out; echo err >&2; exit 42" });

    const ended = await fixture.until(run, (seen) => seen?.state === "ended");

    expect(ended).toMatchObject({ started: true, exitCode: 42 });
    const text = await fixture.logUntil(run, (text) => text.length >= 8);
    expect(text.split("\n").toSorted()).toEqual(["", "err", "out"]);
  });

  it("of several machines reads the addresses of all in its hostfile", async () => {
    const shares = ["one", "one"].map((node) => ({ node, units: 4 }));
    const command = 'cat "$BERTH_HOSTFILE"; sleep 3600';

    const run = await fixture.applied({ shares, gpusPerMachine: 4, command }, { toolsImage: undefined });

    const address = (machine: number) => `machine-${machine}.run-${run.uid}-r1`;
    const hostfile = `${address(0)} slots=4\n${address(1)} slots=4\n`;
    expect(await fixture.logUntil(run, (text) => text.split("\n").length === 3)).toBe(hostfile);
  });

  it("whose log its node has lost has an error in place of its log", async () => {
    const run = await fixture.applied({ command: "echo out" });
    await fixture.until(run, (seen) => seen?.state === "ended");
    await fixture.logUntil(run, (text) => text === "out\n");
    const [node] = fixture.cluster.nodes;

    const search = ["/var/log/pods", "-path", `*${run.uid}*`, "-name", "*.log", "-print", "-delete"];
    const removed = await node?.machine.run("find", search);

    expect(removed).toMatch(/\/main\/0\.log\n$/);
    await expect(fixture.compute.readLog(run.uid, 1)).rejects.toThrow("The node does not find the container's log");
  });
});

describe("a job whose image its node cannot get", () => {
  it("ends without having started if the registry does not have it", async () => {
    const [node] = fixture.cluster.nodes;
    const registry = node?.machine.start("registry", process.execPath, ["-e", emptyRegistry]);
    onTestFinished(() => registry?.signal("SIGKILL"));
    const run = await fixture.applied({ image: "localhost:5000/team/none:1" });

    const ended = await fixture.until(run, (seen) => seen?.state === "ended");

    expect(ended).toMatchObject({ started: false, exitCode: null, reason: "Image not found" });
  });

  it("says what is pulled and since when", async () => {
    const image = "localhost:5001/team/slow:1";
    const [node] = fixture.cluster.nodes;
    const registry = node?.machine.start("registry", process.execPath, ["-e", silentRegistry]);
    const run = await fixture.applied({ image });

    const seen = await fixture.until(run, (seen) => seen !== undefined && seen.reason !== null);
    // A kubelet removes no pod before its pull has ended.
    registry?.signal("SIGKILL");

    expect(seen).toMatchObject({ state: "image", started: false });
    expect(seen?.reason?.replaceAll(/\d+-\d+-\d+ \d+:\d+/g, "<time>")).toBe(
      `Pulling its image since <time> UTC: ${image}`,
    );
  });

  it("waits and says why if the registry does not answer", async () => {
    const run = await fixture.applied({ image: "localhost:1/team/none:1" });

    const seen = await fixture.until(run, (seen) => seen !== undefined && seen.reason !== null);

    expect(seen).toMatchObject({
      state: "image",
      started: false,
      reason: expect.stringMatching(/^The image could not be pulled yet: .*connection refused/),
    });
  });
});

/** Registry without images (OCI distribution-spec, "Error codes"). */
const emptyRegistry = `
const answer = JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] });
require("node:http")
  .createServer(({ url }, response) => {
    response.writeHead(url === "/v2/" ? 200 : 404, { "content-type": "application/json" }).end(answer);
  })
  .listen(5000, "127.0.0.1");
`;

/** Registry that takes connections and never answers. */
const silentRegistry = `require("node:net").createServer().listen(5001, "127.0.0.1");`;

describe("the port of a job on a real node", () => {
  it("delivers the first bytes of every answer", async () => {
    const run = await fixture.applied({ command: echoServer, ports: [{ port: 8080, kind: "http" }] });
    await fixture.until(run, (seen) => seen?.state === "ready");
    const messages = Array.from({ length: 40 }, (_, at) => `message ${at}`);

    const answers: string[] = [];
    for (const body of messages) {
      const request = { port: 8080, path: "/", body, timeoutMs: 5_000 };
      answers.push((await fixture.compute.postToPort(run.uid, 1, request)).body);
    }

    expect(answers).toEqual(messages);
  });
});

/** Answers each POST with its body. */
const echoServer = `exec python3 -c '
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("", 8080), Echo).serve_forever()
'`;
