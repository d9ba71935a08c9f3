import { once } from "node:events";
import { existsSync, readdirSync, renameSync, symlinkSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { eventually } from "#process/fixture.ts";
import {
  KEPT_OUTPUT,
  numberBytes,
  offsetBytes,
  readOffset,
  sizeBytes,
  TERMINAL_WINDOW,
  terminalFrame,
} from "#relay/terminal-frames.ts";
import { type HolderFixture, type HolderView, openHolders } from "./container/holder-fixture.ts";

/** Exit codes (images/tools/shared/shared.go). */
const codes = { wrongUse: 64, gone: 66, full: 73 };
const [one = "", two = "", ...others] = Array.from({ length: 9 }, (_, n) => String(n).repeat(32));

let holders: HolderFixture;
beforeEach(() => {
  holders = openHolders();
});
afterEach(() => holders.close());

const shows = (view: HolderView, text: string) => view.until(() => view.output().includes(text));
const gone = (id: string) =>
  eventually(
    () => existsSync(join(holders.terminals, id)),
    (isThere) => !isThere,
  );

it("a terminal has a size, takes input and changes of size, and says the code of its program", async () => {
  const view = holders.open(one, 'stty size; read line; echo "got $line"; stty size; read line; exit 7');
  await shows(view, "24 80");
  view.send("size", sizeBytes({ columns: 132, lines: 43 }));
  view.send("input", "words\n");
  await shows(view, "43 132");
  view.send("input", "\n");
  await view.until(() => view.find("exit"));
  view.child.stdin?.end();

  expect(view.output()).toContain("got words\r\n");
  expect(view.find("hello")?.content).toEqual(offsetBytes(0));
  expect(view.find("exit")?.content).toEqual(numberBytes(7));
  expect(await view.ended).toBe(0);
  await gone(one);
  expect(await holders.join(one).ended).toBe(codes.gone);
});

it("a terminal goes on while the program of its viewer is hung up, and the next viewer loses nothing", async () => {
  const view = holders.open(one, "stty -echo; echo begun; read line; echo $line; read line");
  await shows(view, "begun");
  // The end of the second frame never comes.
  const half = terminalFrame("input", Buffer.from("never\n")).subarray(0, 8);
  view.sendRaw(Buffer.concat([terminalFrame("input", Buffer.from("said")), half]));
  await view.until(() => view.find("taken"));
  view.hangUp();
  await view.ended;
  const next = holders.join(one, { offset: view.offset() });
  await next.until(() => next.find("hello"));
  next.send("input", " later\n");
  await shows(next, "later");

  expect(readOffset(next.find("hello")?.content ?? Buffer.alloc(8))).toBe(view.offset());
  expect(view.output() + next.output()).toBe("begun\r\nsaid later\r\n");
});

it("a burst of 1 MB waits for a viewer that acknowledges nothing, and reaches the next one whole", async () => {
  const view = holders.open(one, "stty -echo; seq 1 150000; echo done", { acks: false });
  await view.until(() => view.offset() === TERMINAL_WINDOW);
  view.child.stdin?.end();
  await view.ended;
  const before = view.offset();
  const next = holders.join(one, { offset: before });
  await next.until(() => next.find("hello"));
  const lost = next.offset() - before;
  await next.until(() => next.find("exit"));

  expect(before).toBe(TERMINAL_WINDOW);
  // Only output that was printed without a viewer can be lost.
  expect(lost).toBeGreaterThanOrEqual(0);
  expect(next.output().endsWith("149999\r\n150000\r\ndone\r\n")).toBe(true);
  expect(lost === 0 || next.output().length >= KEPT_OUTPUT).toBe(true);
});

it("a burst of 1 MB waits for a viewer that is slow to acknowledge, and loses nothing", async () => {
  const view = holders.open(one, "stty -echo; seq 1 150000", { acks: false });
  await view.until(() => view.offset() === TERMINAL_WINDOW);
  // All of it would come in this time.
  const quick = holders.open(two, "stty -echo; seq 1 150000");
  await quick.until(() => quick.find("exit"));
  for (let window = 1; !view.find("exit"); window++) {
    await view.until(() => view.find("exit") || view.offset() === window * TERMINAL_WINDOW);
    view.send("ack", offsetBytes(view.offset()));
  }

  expect(view.output()).toBe(Array.from({ length: 150_000 }, (_, n) => `${n + 1}\r\n`).join(""));
});

it("a viewer that acknowledges what it does not read later gets all output of the program", async () => {
  const view = holders.open(one, "stty -echo; seq 1 150000");
  view.child.stdout?.pause();
  for (let n = 0; n < 50; n++) view.send("ack", offsetBytes(2 ** 50));
  view.child.stdout?.resume();
  await view.until(() => view.find("exit"));

  expect(view.output()).toBe(Array.from({ length: 150_000 }, (_, n) => `${n + 1}\r\n`).join(""));
});

it("a second viewer takes the place of the first, whose program ends", async () => {
  const first = holders.open(one, "read line");
  await first.until(() => first.find("hello"));
  const second = holders.join(one);
  await second.until(() => second.find("hello"));

  expect(await first.ended).toBe(0);
  expect(first.find("replaced")).toBeDefined();
});

it("a terminal without a viewer is hung up, also if none has come or its program ignores it", async () => {
  const flags = ["--unseen", "300ms"];
  const left = holders.open(one, "trap '' HUP; echo begun; while :; do read line || sleep 1; done", { flags });
  holders.open(two, "read line", { flags, attaches: false });
  await shows(left, "begun");
  left.child.stdin?.end();

  await Promise.all([gone(one), gone(two)]);
  await eventually(holders.list, (pids) => pids.length === 0);
});

it("an ended terminal waits for a viewer who has not acknowledged its last output, and then is over", async () => {
  const view = holders.open(one, "printf last", { acks: false });
  await view.until(() => view.find("exit"));
  view.child.stdin?.end();
  await view.ended;
  const next = holders.join(one);
  await next.until(() => next.find("exit"));
  next.child.stdin?.end();

  expect(next.output()).toBe("last");
  await gone(one);
});

it("an ended terminal without a viewer is over after its time", async () => {
  const view = holders.open(one, "read line", { flags: ["--ended", "100ms"] });
  await view.until(() => view.find("hello"));
  view.send("input", "\n");
  view.child.stdin?.end();

  await gone(one);
});

it("the end of a program is told although its child keeps the terminal open and prints", async () => {
  const view = holders.open(one, "trap '' HUP; yes & exit 3");
  await view.until(() => view.find("exit"));

  expect(view.find("exit")?.content).toEqual(numberBytes(3));
});

it("a ninth terminal is refused until a killed one has left its place", async () => {
  const views = [one, ...others].map((id) => ({ id, view: holders.open(id, "read line") }));
  await Promise.all(views.map(({ view }) => view.until(() => view.find("hello"))));
  const refused = await holders.open(two, "read line").ended;
  const [killed] = holders.list();
  if (killed !== undefined) process.kill(killed, "SIGKILL");
  const left = await Promise.race(views.map(({ id, view }) => view.ended.then(() => id)));
  await eventually(
    () => holders.join(left).ended,
    (code) => code === codes.gone,
  );
  const next = holders.open(two, "read line");
  await next.until(() => next.find("hello"));

  expect(refused).toBe(codes.full);
  expect(readdirSync(holders.terminals)).toHaveLength(8);
});

it.each([
  ["an unknown kind", Buffer.from([0x3f, 0, 0, 0, 0])],
  ["a frame above the window", Buffer.from([0x69, 0x7f, 0, 0, 0])],
  ["a size without its bytes", terminalFrame("size")],
  ["an acknowledgement without its bytes", terminalFrame("ack", Buffer.alloc(3))],
  ["a second first frame", terminalFrame("attach", Buffer.alloc(12))],
  [
    "more input than the window",
    Buffer.concat(Array(3).fill(terminalFrame("input", Buffer.alloc(TERMINAL_WINDOW / 2)))),
  ],
])("a viewer that sends %s is cut, and the terminal goes on", async (_, bytes) => {
  const view = holders.open(one, "stty raw -echo; echo begun; sleep 600");
  await shows(view, "begun");
  view.sendRaw(bytes);

  expect(await view.ended).toBe(0);
  const next = holders.join(one);
  await shows(next, "begun");
});

it("a symlink to nothing and a name that is no id open no terminal", async () => {
  const view = holders.open(one, "read line");
  await view.until(() => view.find("hello"));
  const real = `${holders.terminals}-real`;
  renameSync(join(holders.terminals, one), real);
  symlinkSync("/nowhere", join(holders.terminals, one));

  expect(await holders.join(one).ended).toBe(codes.gone);
  expect(await holders.join("../socket").ended).toBe(codes.wrongUse);
});

it("a terminal serves its viewer while other programs of its user flood the socket", async () => {
  const view = holders.open(one, "stty -echo; echo begun; while read line; do echo $line; done");
  await shows(view, "begun");
  const flood = Array.from({ length: 300 }, () => {
    const socket = connect(join(holders.terminals, one)).on("error", () => undefined);
    socket.write(Buffer.alloc(4, 0x61));
    return socket;
  });
  await Promise.all(flood.slice(0, 50).map((socket) => once(socket, "connect")));
  view.send("input", "still here\n");
  await shows(view, "still here");
  for (const socket of flood) socket.destroy();
});
