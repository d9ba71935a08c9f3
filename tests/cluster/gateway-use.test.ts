import { PassThrough } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { attendance } from "#gateway/pods/attendance.ts";
import { pageUse } from "#gateway/pods/page-use.ts";
import { podReach } from "#gateway/pods/pod-reach.ts";
import { runEntry } from "#kubernetes/access/run-entry.ts";
import { openToolsFixture, type ToolsFixture } from "#kubernetes/fixtures/tools-fixture.ts";
import { nameOfRun, parseRunName } from "#kubernetes/names.ts";

let fixture: ToolsFixture;
beforeAll(async () => {
  fixture = await openToolsFixture();
});
afterAll(async () => {
  await fixture.clear();
  await fixture.stop();
});

it("the worker sees a page's connection as use, and its request for a while longer", async () => {
  const run = await fixture.applied({ command: undefined });
  await fixture.ready(run);
  const [place, runs] = [{ run: nameOfRun(run) }, runEntry(fixture.options)];
  const count = () => fixture.compute.countWork(run.uid, 1);
  const [brief, long] = [pageUse(attendance(runs), 0), pageUse(attendance(runs))];

  brief({ ...place, isJupyter: true }, new PassThrough());
  const stream = brief(place, new PassThrough());
  const open = await fixture.eventually(count, (counted) => counted !== 0);
  stream.destroy();
  const closed = await fixture.eventually(count, (counted) => counted === 0);
  long(place, new PassThrough()).destroy();
  const later = await fixture.eventually(count, (counted) => counted !== 0);

  expect([open, closed, later]).toEqual([1, 0, 1]);
});

it("the worker sees sessions of another process's gateway as use, until the last one ends", async () => {
  const run = await fixture.applied({ command: undefined });
  await fixture.ready(run);
  const attend = attendance(runEntry(fixture.options));
  const reach = podReach(runEntry(fixture.options), (name) => ({
    id: parseRunName(name),
    sessions: attend(parseRunName(name)),
  }));
  const count = () => fixture.compute.countWork(run.uid, 1);
  const wait = { program: { command: "cat" }, env: {}, terminal: undefined };

  const before = await count();
  const open = [await reach.start(nameOfRun(run), wait), await reach.start(nameOfRun(run), wait)];
  const during = await fixture.eventually(count, (counted) => counted !== 0);
  open[0]?.hangUp();
  await open[0]?.ended.catch(() => undefined);
  const afterOne = await count();
  open[1]?.hangUp();
  const after = await fixture.eventually(count, (counted) => counted === 0);

  expect([before, during, afterOne, after]).toEqual([0, 1, 1, 0]);
});
