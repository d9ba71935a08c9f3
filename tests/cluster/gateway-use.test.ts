import { PassThrough } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { countedPages } from "#gateway/ingress/page-use.ts";
import { attendance } from "#gateway/pods/attendance.ts";
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
  const [place, attend] = [{ run: nameOfRun(run), port: 8080, address: null }, attendance(runEntry(fixture.options))];
  const count = () => fixture.compute.countWork(run.uid, 1);
  const connect = () => new PassThrough();
  const [brief, long] = [countedPages(connect, attend, 0), countedPages(connect, attend)];

  await brief({ ...place, isJupyter: true });
  const stream = await brief(place);
  const open = await fixture.eventually(count, (counted) => counted !== 0);
  stream.destroy();
  const closed = await fixture.eventually(count, (counted) => counted === 0);
  (await long(place)).destroy();
  const later = await fixture.eventually(count, (counted) => counted !== 0);

  expect([open, closed, later]).toEqual([1, 0, 1]);
});

it("the worker sees sessions of another process's gateway as use, until the last one ends", async () => {
  const run = await fixture.applied({ command: undefined });
  await fixture.ready(run);
  const attend = attendance(runEntry(fixture.options));
  const reach = podReach(runEntry(fixture.options), (name) => ({
    id: parseRunName(name),
    sessions: attend(name),
  }));
  const count = () => fixture.compute.countWork(run.uid, 1);
  const wait = { program: { command: "cat" }, env: {}, terminal: undefined };

  const before = await count();
  const open = [await reach.start(nameOfRun(run), wait), await reach.start(nameOfRun(run), wait)];
  const during = await fixture.eventually(count, (counted) => counted !== 0);
  void open[0]?.hangUp();
  await open[0]?.ended.catch(() => undefined);
  const afterOne = await count();
  void open[1]?.hangUp();
  const after = await fixture.eventually(count, (counted) => counted === 0);

  expect([before, during, afterOne, after]).toEqual([0, 1, 1, 0]);
});
