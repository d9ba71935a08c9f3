import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "#aws/clock.ts";
import type { WatchItem } from "#core/reconciler/watcher-lease.ts";
import { watchKey } from "#core/store/keys.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { fixtureCatalog } from "./fixture-catalog.ts";
import { openStores } from "./home/stores.ts";
import { startStack } from "./stack.ts";

it("a stack continues at once from the position of one that was killed while it followed changes", async () => {
  const home = mkdtempSync(join(tmpdir(), "berth-watch-"));
  const start = () =>
    startStack({ environment: { BERTH_HOME: home, PORT: "0" }, log: silentLog(), catalog: fixtureCatalog() });
  await (await start()).stop();
  const before = openStores(home, systemClock());
  const until = Date.now() + 90_000;
  const killed: WatchItem = { ...watchKey, kind: "watch", writers: [], holder: "killed", until, version: "7" };
  await before.table.put(killed);
  await before.stop();

  const stack = await start();
  const item = await stack.runtime.ports.table.get(watchKey);
  await stack.stop();
  rmSync(home, { recursive: true });

  expect(item).toMatchObject({ version: "7" });
  expect(item).not.toMatchObject({ holder: "killed" });
});
