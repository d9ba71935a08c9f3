import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openSupervisor, type SupervisorFixture, until } from "./container/supervisor-fixture.ts";

let fixture: SupervisorFixture;

beforeEach(async () => {
  fixture = await openSupervisor();
  await fixture.run([]);
});

afterEach(() => fixture.close());

function open(script: string) {
  const child: ChildProcessWithoutNullStreams = spawn(fixture.file("terminal"), ["100", "30", "/bin/sh", "-c", script]);
  let shown = "";
  child.stdout.on("data", (data: Buffer) => {
    shown += data;
  });
  child.stdin.on("error", () => undefined);
  const send = (kind: "i" | "w", data: Buffer) => {
    const head = Buffer.alloc(5);
    head.write(kind);
    head.writeUInt32BE(data.length, 1);
    child.stdin.write(Buffer.concat([head, data]));
  };
  return {
    child,
    shown: () => shown,
    type: (text: string) => send("i", Buffer.from(text)),
    resize: (columns: number, rows: number) => send("w", Buffer.from(new Uint16Array([columns, rows]).buffer).swap16()),
    exit: once(child, "close").then(([code]) => code as number | null),
  };
}

it("a terminal passes input and output, and ends with the command's code", async () => {
  const terminal = open('tty; stty size; read line; echo "got $line"; exit 6');
  await until(() => terminal.shown().includes("30 100"));

  terminal.type("héllo\n");

  expect(await terminal.exit).toBe(6);
  expect(terminal.shown()).toMatch(/^\/dev\/pts\/\d+\r\n30 100\r\nhéllo\r\ngot héllo\r\n$/);
});

it("a terminal can be resized, and sends signals", async () => {
  const terminal = open(
    'trap "stty size" WINCH; trap "echo stopped; exit 2" INT; echo began; while :; do sleep 0.05; done',
  );
  await until(() => terminal.shown().includes("began"));

  terminal.resize(132, 50);
  await until(() => terminal.shown().includes("50 132"));
  terminal.type("\u0003");

  expect(await terminal.exit).toBe(2);
});

it("a terminal counts while it exists, and its command ends with its client", async () => {
  const polite = open(
    'trap "echo bye >left; exit 0" HUP; echo $$; while :; do sleep 0.05; done'.replace("left", fixture.file("left")),
  );
  const stubborn = open('trap "" HUP; echo $$; while :; do sleep 0.05; done');
  await until(() => polite.shown() !== "" && stubborn.shown() !== "");
  await until(async () => (await fixture.ask("count")).stdout === "2\n");

  polite.child.stdin.end();
  stubborn.child.stdin.end();

  expect(await polite.exit).toBe(0);
  expect(existsSync(fixture.file("left"))).toBe(true);
  expect(await stubborn.exit).toBe(137);
  await until(async () => (await fixture.ask("count")).stdout === "0\n");
});

it("a terminal is not held open by background processes", async () => {
  const terminal = open("(trap '' HUP; sleep 3) & echo done");

  expect(await terminal.exit).toBe(0);
  expect(terminal.shown()).toBe("done\r\n");
});

it("a terminal of a missing program ends at once", async () => {
  const child = spawn(fixture.file("terminal"), ["80", "24", "/no/such/program"]);

  expect((await once(child, "close"))[0]).toBe(127);
});
