import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Run } from "#core/ports/compute.ts";
import { type RunEntry, runEntry } from "../access/run-entry.ts";
import type { PodSession, PodSessionRequest } from "../exec/pod-session.ts";
import { type ClusterFixture, fixtureRun, openClusterFixture } from "../fixtures/cluster-fixture.ts";

/** Local port that stands for a pod's port 8080. */
const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
let fixture: ClusterFixture;
let entry: RunEntry;
let run: Run;

beforeAll(async () => {
  await once(echo.listen(0, "127.0.0.1"), "listening");
  const { port } = echo.address() as AddressInfo;
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port: nobodys } = closed.address() as AddressInfo;
  closed.close();
  fixture = await openClusterFixture([{ name: "one", instanceType: "p5.48xlarge" }], () => ({
    process: true,
    ports: { 8080: port, 9: nobodys },
  }));
  entry = runEntry(fixture.options);
  run = await begun();
});

afterAll(async () => {
  await fixture.stop();
  echo.close();
});

async function begun(): Promise<Run> {
  const made = fixtureRun({ env: { GREETING: "hello" } });
  await fixture.compute.apply(made);
  await fixture.eventually(
    () => fixture.compute.observe(made.uid, 1),
    (seen) => seen?.state === "ready",
  );
  return made;
}

const open = (request: Partial<PodSessionRequest>) => entry.open(run, { words: [], env: {}, ...request });
const sh = (script: string, more: Partial<PodSessionRequest> = {}) =>
  open({ words: ["/bin/sh", "-c", "--"], text: script, ...more });

async function said(session: PodSession, input?: string) {
  if (input !== undefined) session.input.end(input);
  const [out, err, code] = await Promise.all([text(session.output), text(session.errors), session.ended]);
  return { out, err, code };
}

function shownBy({ output }: PodSession) {
  let all = "";
  output.on("data", (part: Buffer) => {
    all += part.toString();
  });
  return (words: string) =>
    fixture.eventually(
      async () => all,
      (shown) => shown.includes(words),
    );
}

const isThere = (file: string) => fixture.eventually(async () => existsSync(file), Boolean);

describe("a session in a pod", () => {
  it("has three separate streams, the run's and its own variables, and an exit code", async () => {
    const session = await sh('cat; echo "$GREETING $LANG" >&2; exit 7', { env: { LANG: "C.UTF-8" } });

    expect(await said(session, "good")).toEqual({ out: "good", err: "hello C.UTF-8\n", code: 7 });
  });

  it("takes a command of many lines unchanged, followed by its input", async () => {
    const odd = `back\\slash 'single' "double" $(no) \`no\` ünï ${"x".repeat(16_384)}`;
    const script = `cat <<'END'\n${odd}\nEND\n\nwc -c\n`;

    const session = await sh(script);

    expect(await said(session, "12345\n\n")).toEqual({ out: `${odd}\n7\n`, err: "", code: 0 });
  });

  it("is a terminal of the requested size, which can change, and passes interrupts on", async () => {
    const session = await open({ words: ["/bin/sh"], env: { TERM: "vt100" }, terminal: { columns: 91, rows: 17 } });
    const shown = shownBy(session);
    session.input.write("stty size; test -t 0 && echo is-a-$TERM\n");
    await shown("17 91\r");
    await shown("is-a-vt100\r");

    session.resize(120, 33);
    session.input.write("until stty size | grep '33 120'; do :; done\n");
    await shown("33 120\r");
    // The command says that it begins: a shell that is about to start a command may drop the interrupt.
    session.input.write(`PS1='<$?>'\nsh -c "echo be''gins; exec sleep 3641"\n`);
    await shown("begins");
    session.input.write("\x03");
    // A shell may discard what was typed before its prompt.
    await shown("<130>");
    session.input.write("exit 3\n");

    expect(await session.ended).toBe(3);
  });

  it.each([
    ["without a terminal", undefined],
    ["in a terminal", { columns: 80, rows: 24 }],
  ])("hangs up on processes %s when its client leaves, and on no detached one", async (name, terminal) => {
    const file = (subject: string) => join(fixture.files, `${name}-${subject}`.replaceAll(" ", "-"));
    const script = `trap 'echo > ${file("hung-up")}; exit' HUP
      nohup sh -c 'echo > ${file("kept")}; while [ ! -e ${file("hung-up")} ]; do sleep 0.05; done; echo > ${file("stayed")}' >/dev/null 2>&1 &
      while [ ! -e ${file("kept")} ]; do sleep 0.05; done; echo > ${file("begun")}; while :; do sleep 0.05; done`;
    const session = await sh(script, { terminal });
    await isThere(file("begun"));

    await session.close();

    expect(await isThere(file("hung-up"))).toBe(true);
    expect(await isThere(file("stayed"))).toBe(true);
  });

  it("blocks its command while nothing reads, and loses nothing", async () => {
    const file = join(fixture.files, "written");
    const bytes = 32 * 1024 * 1024;
    const session = await sh(`head -c ${bytes} /dev/zero; echo > ${file}`);
    await once(session.output, "readable");

    const otherEntry = await said(await sh("echo meanwhile"));
    const early = existsSync(file);
    const kept = session.output.readableLength;
    const all = await buffer(session.output);

    expect(otherEntry.out).toBe("meanwhile\n");
    expect([early, kept < 4 * 1024 * 1024, all.length, await session.ended]).toEqual([false, true, bytes, 0]);
  });

  it("reports that it could not be started", async () => {
    const session = await open({ words: ["/no/such/program"] });

    expect(await session.ended).toBe(127);
  });
});

describe("a port of a pod", () => {
  it("is a connection for any number of bytes", async () => {
    const bytes = Buffer.alloc(8 * 1024 * 1024, "berth");
    const stream = await entry.dial(run, 8080);
    stream.write(bytes);

    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length >= bytes.length) break;
    }

    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    expect(stream.destroyed).toBe(true);
  });

  it("ends if nothing listens", async () => {
    const stream = await entry.dial(run, 9);

    await expect(text(stream)).rejects.toThrow("Nothing answered on that port");
  });
});

it("users' text is in no URL that the API server logs", async () => {
  const paths: string[] = [];
  const { client } = fixture.options;
  const seen = {
    ...client,
    socket: (...input: Parameters<typeof client.socket>) => {
      paths.push(decodeURIComponent(input[0]));
      return client.socket(...input);
    },
  };

  const session = await runEntry({ ...fixture.options, client: seen }).open(run, {
    words: ["/bin/sh", "-c", "--"],
    text: "echo top-secret",
    env: {},
  });

  expect((await said(session)).out).toBe("top-secret\n");
  expect(paths).toHaveLength(1);
  expect(paths.join()).not.toContain("top-secret");
});

it("only a living run can be entered", async () => {
  const otherRun = await begun();
  const request = { words: ["/bin/true"], env: {} };
  await said(await entry.open(otherRun, request));
  await fixture.clear();

  await expect(entry.open(otherRun, request)).rejects.toMatchObject({ name: "RunGone" });
  await expect(runEntry(fixture.options).open(otherRun, request)).rejects.toMatchObject({ name: "RunGone" });
  await expect(entry.dial(otherRun, 8080)).rejects.toMatchObject({ name: "RunGone" });
});
