import { Readable, Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { boundOutput, boundTogether, HeldBytes, passOutput } from "./ssh-output.ts";

/** Output that is sent together, as a socket takes it by one system call. */
function openOutput(isRead: boolean) {
  const passed: string[] = [];
  const output = new Writable({
    writev(chunks, done) {
      passed.push(chunks.map(({ chunk }) => String(chunk)).join("|"));
      if (isRead) done();
    },
  });
  boundOutput(output);
  return { output, passed };
}

/** Output of a program, and the sizes of the writes to its client. */
function openProgram(takesAll = true) {
  const sizes: number[] = [];
  let takeNext = () => undefined as unknown;
  const client = new Writable({
    highWaterMark: 1,
    write(bytes: Buffer, _, done) {
      sizes.push(bytes.length);
      takeNext = done;
      if (takesAll) done();
    },
  });
  const output = new Readable({ read: () => undefined });
  return { output, client, sizes, takeNext: () => takeNext() };
}

it("output of one turn is sent at once, in the order of its parts", async () => {
  const { output, client, sizes } = openProgram();
  passOutput(output, client);

  for (let n = 0; n < 3; n += 1) output.push(Buffer.alloc(8 * 1024));
  await setImmediate();
  await setImmediate();
  output.push(Buffer.alloc(40 * 1024));
  output.push(null);
  await new Promise((resolve) => output.once("end", resolve));

  expect(sizes).toEqual([24 * 1024, 40 * 1024]);
});

it("output waits while the client accepts none, and continues afterwards", async () => {
  const { output, client, sizes, takeNext } = openProgram(false);
  passOutput(output, client);

  for (const part of ["one", "three"]) {
    output.push(part);
    await setImmediate();
    await setImmediate();
  }
  const early = [...sizes];
  takeNext();
  await setImmediate();

  expect([early, sizes]).toEqual([[3], [3, 5]]);
});

it("stopped output stays in the stream of the program", async () => {
  const { output, client, sizes } = openProgram();
  const stop = passOutput(output, client);

  output.push("kept");
  stop();
  await setImmediate();

  expect([sizes, String(output.read())]).toEqual([[], "kept"]);
});

it("the packets of one turn are sent together, and those of a later turn after them", async () => {
  const { output, passed } = openOutput(true);

  for (const part of ["length", "payload", "mac"]) output.write(part);
  // Each read of a turn has its own ticks.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  for (const part of ["length", "payload", "mac"]) output.write(part);
  await setImmediate();
  output.write("next");
  await setImmediate();

  expect(passed).toEqual(["length|payload|mac|length|payload|mac", "next"]);
});

it("an end in the same turn loses no output", async () => {
  const { output, passed } = openOutput(true);

  output.write("last");
  output.end("words");
  await setImmediate();

  expect([passed.join("|"), output.writableFinished]).toEqual(["last|words", true]);
});

it("a client that does not read is cut off at 32 MiB", async () => {
  const { output } = openOutput(false);
  const part = Buffer.alloc(1024 * 1024);

  for (let n = 0; n < 32; n += 1) output.write(part);
  const atBound = output.destroyed;
  output.write(part);

  expect([atBound, output.destroyed]).toEqual([false, true]);
});

it("of several clients that do not read, the one with the most unsent output is cut off at their common bound", () => {
  const bound = boundTogether(10);
  const [small, large, late] = [openOutput(false), openOutput(false), openOutput(false)];
  for (const { output } of [small, large, late]) bound(new HeldBytes(output));

  small.output.write("x".repeat(3));
  large.output.write("x".repeat(6));
  late.output.write("x");
  const atBound = large.output.destroyed;
  late.output.write("x");

  expect([atBound, ...[small, large, late].map(({ output }) => output.destroyed)]).toEqual([false, false, true, false]);
});

it("output that was sent no longer counts for the common bound of several clients", async () => {
  const bound = boundTogether(10);
  const [reading, silent] = [openOutput(true), openOutput(false)];
  for (const { output } of [reading, silent]) bound(new HeldBytes(output));

  reading.output.write("x".repeat(8));
  await setImmediate();
  silent.output.write("x".repeat(8));

  expect([reading.output.destroyed, silent.output.destroyed]).toEqual([false, false]);
});

it("input that waits counts for the common bound, and the connection with the most is cut off", () => {
  const bound = boundTogether(10);
  const [silent, filling] = [openOutput(false), openOutput(false)];
  const [small, large] = [new HeldBytes(silent.output), new HeldBytes(filling.output)];
  for (const held of [small, large]) bound(held);

  silent.output.write("x".repeat(4));
  large.countInput = () => 6;
  large.grow();
  const atBound = large.socket.destroyed;
  large.countInput = () => 7;
  large.grow();

  expect([atBound, large.socket.destroyed, small.socket.destroyed]).toEqual([false, true, false]);
});
