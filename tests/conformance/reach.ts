import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { constants } from "node:os";
import type { Duplex, Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Program, ProgramEnd, Reach, Terminal, WantedProgram } from "#gateway/ports/reach.ts";
import type { RelayPlace } from "#relay/relay.ts";

/** A reach under test, with a living run that has a shell, coreutils and an SFTP server. */
export interface ReachUnderTest {
  readonly reach: Reach;
  readonly run: string;
  /** Name of a run that has ended. */
  readonly endedRun: string;
  /** Directory of the run in which its programs may write. */
  readonly place: string;
  /** Port of the run on which a program sends back what it gets. */
  readonly echoPort: number;
  /** Port of the run on which nothing listens. */
  readonly closedPort: number;
  close(): Promise<void>;
}

const terminal: Terminal = { term: "vt100", columns: 91, lines: 17 };

/** Conformance tests for the ways of the gateway into a run. */
export function reachConformance(open: () => Promise<ReachUnderTest>): void {
  let test: ReachUnderTest;
  beforeAll(async () => {
    test = await open();
  });
  afterAll(() => test.close());

  const start = (program: WantedProgram["program"], more: Partial<WantedProgram> = {}) =>
    test.reach.start(test.run, { program, env: {}, terminal: undefined, ...more });
  const runs = async (command: string, more: Partial<WantedProgram> = {}, input = "") =>
    said(await start({ command }, more), input);
  const isThere = (file: string) => runs(`until [ -e ${file} ]; do sleep 0.05; done`);
  const newFile = () => `${test.place}/${randomBytes(6).toString("hex")}`;

  describe("programs in a run", () => {
    it("have three separate streams, the requested variables and an exit code", async () => {
      const answer = await runs('cat; echo "$LC_TEST" >&2; exit 7', { env: { LC_TEST: "C.UTF-8" } }, "good");

      expect(answer).toEqual({ out: "good", err: "C.UTF-8\n", code: 7 });
    });

    it("get a command of many lines unchanged, followed by their input", async () => {
      const odd = `back\\slash 'single' "double" $(no) \`no\` ünï ${"x".repeat(65_536)}`;

      const answer = await runs(`cat <<'END'\n${odd}\nEND\n\nwc -c\n`, {}, "12345\n\n");

      expect(answer).toEqual({ out: `${odd}\n7\n`, err: "", code: 0 });
    });

    it("report the signal that killed them", async () => {
      expect(await runs("kill -KILL $$")).toMatchObject({ code: 137 });
    });

    it("have a terminal of the requested type and size, which can change", async () => {
      const program = await start("shell", { terminal });
      const shows = follow(program.output);
      program.input.write("stty size; test -t 0 && echo is-a-$TERM\n");
      await shows("17 91\r");
      await shows("is-a-vt100\r");

      program.resize(120, 33);
      program.input.write("until stty size | grep '33 120'; do :; done\n");
      await shows("33 120\r");
      program.input.write("exit 3\n");

      expect(await program.ended).toEqual({ exitCode: 3 });
    });

    it("are interrupted by Ctrl-C in a terminal", async () => {
      const program = await start("shell", { terminal });
      const shows = follow(program.output);
      // The command says that it begins: a shell that is about to start a command may drop the interrupt.
      program.input.write(`PS1='<$?>'\nsh -c "echo be''gins; exec sleep 3641"\n`);
      await shows("begins");

      program.input.write("\x03");
      // A shell may discard what was typed before its prompt.
      await shows("<130>");
      program.input.write("exit 0\n");

      await program.ended;
    });

    it.each([
      ["without a terminal", undefined],
      ["in a terminal", terminal],
    ])("end %s when their client leaves, except detached ones", async (_, terminal) => {
      const [kept, lock, locked, ended, stayed] = [newFile(), newFile(), newFile(), newFile(), newFile()];
      const detached = `echo > ${kept}; until [ -e ${ended} ]; do sleep 0.05; done; echo > ${stayed}`;
      const command = `nohup setsid sh -c '${detached}' >/dev/null 2>&1 &
        until [ -e ${kept} ]; do sleep 0.05; done
        exec 9>${lock}; flock 9; echo > ${locked}; while :; do sleep 0.05; done`;
      const program = await start({ command }, { terminal });
      await isThere(locked);

      void program.hangUp();

      const free = await runs(`flock ${lock} true && echo > ${ended}`);
      expect([free.code, (await isThere(stayed)).code]).toEqual([0, 0]);
    });

    it("wait while nothing reads their output, and lose none of it", async () => {
      const written = newFile();
      const bytes = 32 * 1024 * 1024;
      const program = await start({ command: `head -c ${bytes} /dev/zero; echo > ${written}` });
      await once(program.output, "readable");

      const early = await runs(`test -e ${written}`);
      const all = await buffer(program.output);

      expect([early.code, all.length, await program.ended]).toEqual([1, bytes, { exitCode: 0 }]);
    });

    it("get signals", async () => {
      const program = await start({
        command: "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done",
      });
      const shows = follow(program.output);
      await shows("ready");

      program.signal?.("SIGTERM");

      await shows("caught");
      expect(await program.ended).toEqual({ exitCode: 5 });
    });

    it("end when they write to a client that reads no more", async () => {
      const program = await start({ command: "yes" });
      await once(program.output, "readable");

      program.closeOutput?.();

      expect(getCode(await program.ended)).toBeGreaterThan(0);
    });

    it("serve SFTP version 3", async () => {
      const program = await start("sftp");
      program.input.write(Buffer.from([0, 0, 0, 5, SSH_FXP_INIT, 0, 0, 0, 3]));

      // A server may end without its last answer once its input has ended, as OpenSSH's does.
      const answer = await take(program.output, 9);
      void program.hangUp();

      expect([answer[4], answer.readUInt32BE(5)]).toEqual([SSH_FXP_VERSION, 3]);
    });

    it("are refused with a reason if the run has ended", async () => {
      const wanted = { program: { command: "true" }, env: {}, terminal: undefined };

      await expect(test.reach.start(test.endedRun, wanted)).rejects.toThrow("The environment has ended");
    });
  });

  describe("ports of a run", () => {
    const dial = (port: number, run = test.run) => test.reach.dial(run, { host: "127.0.0.1", port });

    it("carry any number of bytes in both directions", async () => {
      const bytes = Buffer.alloc(8 * 1024 * 1024, "berth");
      const stream = await dial(test.echoPort);
      stream.write(bytes);

      const received = await take(stream, bytes.length);

      expect(received.equals(bytes)).toBe(true);
    });

    it("refuse or end a connection if nothing listens", async () => {
      const connect = async () => text(await dial(test.closedPort));

      await expect(connect()).rejects.toThrow();
    });

    it("are closed if the run has ended, and never lead to the gateway's own machine", async () => {
      const server = createServer((socket) => socket.end("the machine"));
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as AddressInfo;

      await expect(dial(port, test.endedRun)).rejects.toThrow();

      server.close();
    });
  });

  describe("relays in a run", () => {
    const echo = (visitor: Duplex) => visitor.pipe(visitor);
    const openRelay = (place: RelayPlace, onVisitor: (visitor: Duplex) => void = echo) =>
      test.reach.openRelay(test.run, place, onVisitor);
    /** Sends bytes to a socket of the run, and returns the answer. */
    const ask = async (path: string, bytes: Buffer) => {
      const { promise: visitor, resolve } = Promise.withResolvers<Duplex>();
      const relay = await openRelay(["dial", path], resolve);
      await relay.address;
      (await visitor).end(bytes);
      const answer = await buffer(await visitor);
      relay.close();
      await relay.ended;
      return answer;
    };

    it("lead visitors of the run's loopback to the client", async () => {
      const relay = await openRelay(["tcp", "0"]);
      const port = await relay.address;

      const answer = await runs(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; echo hello >&3; head -n1 <&3'`);
      relay.close();
      await relay.ended;

      expect(answer).toMatchObject({ out: "hello\n", code: 0 });
    });

    it("lead any number of bytes between two sockets of a run, at a path that only its user may use", async () => {
      // The place may be a variable of the shell.
      const path = (await runs(`echo ${newFile()}`)).out.trim();
      const bytes = Buffer.alloc(4 * 1024 * 1024, "berth");
      const relay = await openRelay(["unix", path]);
      const address = await relay.address;

      const modes = await runs(`stat -c %a ${path}`);
      const answer = await ask(path, bytes);
      relay.close();
      await relay.ended;

      expect([address, modes.out, answer.equals(bytes)]).toEqual([path, "600\n", true]);
      expect(await runs(`test -e ${path}`)).toMatchObject({ code: 1 });
    });

    it("lead to an agent at a new path that only the run's user may enter, until they are closed", async () => {
      const relay = await openRelay(["agent"]);
      const path = await relay.address;

      const modes = await runs(`stat -c %a ${path} $(dirname ${path})`);
      const answer = await ask(path, Buffer.from("hello"));
      relay.close();
      await relay.ended;

      expect([modes.out, answer.toString()]).toEqual(["600\n700\n", "hello"]);
      expect(await runs(`test -e $(dirname ${path})`)).toMatchObject({ code: 1 });
    });

    it.each([
      ["a path on which nothing listens", ["dial", "/nowhere/there"]],
      ["a folder that does not exist", ["unix", "/nowhere/there"]],
    ] as const)("fail at %s", async (_, place) => {
      const relay = await openRelay(place);

      await expect(relay.address).rejects.toThrow("The relay could not listen or connect");
      await relay.ended;
    });

    it("are refused if the run has ended", async () => {
      await expect(test.reach.openRelay(test.endedRun, ["agent"], echo)).rejects.toThrow();
    });
  });
}

/** Types of packets (draft-ietf-secsh-filexfer-02, 3). */
const SSH_FXP_INIT = 1;
const SSH_FXP_VERSION = 2;

async function said(program: Program, input: string) {
  program.input.end(input);
  const { output, errors } = program;
  const [out, err, end] = await Promise.all([text(output), errors ? text(errors) : "", program.ended]);
  void program.hangUp();
  return { out, err, code: getCode(end) };
}

/** Returns the exit code as a shell shows it. */
function getCode(end: ProgramEnd): number {
  return "exitCode" in end ? end.exitCode : 128 + constants.signals[end.signal as NodeJS.Signals];
}

/** Returns a function that waits until the output contains some words. */
function follow(output: Readable): (words: string) => Promise<void> {
  let all = "";
  output.on("data", (part: Buffer) => {
    all += part.toString();
  });
  return (words) =>
    new Promise((resolve, reject) => {
      const check = () => {
        if (all.includes(words)) resolve();
      };
      output.on("data", check).once("end", () => reject(new Error(`The output ended: ${all}`)));
      check();
    });
}

async function take(stream: Readable, length: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let left = length;
  for await (const part of stream as AsyncIterable<Buffer>) {
    parts.push(part);
    left -= part.length;
    if (left <= 0) break;
  }
  return Buffer.concat(parts);
}
