import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { countedPages } from "#gateway/ingress/page-use.ts";
import { eventually, type Fixture, openFixture } from "#process/fixture.ts";
import { sandboxUse } from "./sandbox-use.ts";

let fixture: Fixture;
beforeEach(async () => {
  fixture = openFixture({ isolation: "none" });
  await fixture.compute.apply(fixture.runOf({ command: undefined }));
  await eventually(fixture.observe, (seen) => seen?.state === "ready");
});
afterEach(() => fixture.close());

const count = async () => (await fixture.observe())?.sessions;

it("counts a sandbox as in use while a page of it is open, and for a while longer, but not for Jupyter's", async () => {
  const getUse = sandboxUse(fixture.home);
  const open = () => new PassThrough();
  const [brief, long] = [countedPages(open, getUse, 0), countedPages(open, getUse)];
  const place = { run: `${fixture.uid}-r1`, port: 8080, address: null };

  await brief({ ...place, isJupyter: true });
  const jupyter = await count();
  const streams = [await brief(place), await brief(place)];
  const during = await count();
  streams[0]?.destroy();
  const afterOne = await count();
  streams[1]?.destroy();
  const after = await eventually(count, (sessions) => sessions === 0);
  (await long(place)).destroy();
  await new Promise(setImmediate);

  expect([jupyter, during, afterOne, after, await count()]).toEqual([0, 1, 1, 0, 1]);
});

it("counts no page of a run whose files are gone", async () => {
  const connect = countedPages(() => new PassThrough(), sandboxUse(fixture.home), 0);

  const stream = await connect({ run: `${fixture.uid}-r9`, port: 8080, address: null });
  stream.destroy();

  expect(await count()).toBe(0);
});
