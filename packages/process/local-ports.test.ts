import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openPorts } from "./local-ports.ts";

test("a Jupyter that runs find by LOCAL_PATH is their own, and one that this machine has not got has a placeholder", async () => {
  const place = mkdtempSync(join(tmpdir(), "berth-ports-"));
  const bin = join(place, "venv/bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "jupyter"), "", { mode: 0o755 });
  const asked = { ports: [{ port: 8888, kind: "jupyter" }], command: null, env: {} } as const;

  const [found, absent] = await Promise.all([
    openPorts(place, { ...asked, programs: { path: `/nowhere:${bin}`, shown: [] } }),
    openPorts(place, { ...asked, programs: { path: "/nowhere", shown: [] } }),
  ]);

  rmSync(place, { recursive: true });
  expect(found).toEqual([]);
  expect(absent).toMatchObject([{ port: 8888, hasPlaceholder: true }]);
});
