import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openPorts, servesIde } from "./local-ports.ts";

test("runs use the Jupyter on LOCAL_PATH, and get a placeholder without one", async () => {
  const place = mkdtempSync(join(tmpdir(), "berth-ports-"));
  const bin = join(place, "venv/bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "jupyter"), "", { mode: 0o755 });
  const input = { ports: [{ port: 8888, kind: "jupyter" }], command: null, env: {}, image: "busybox" } as const;

  const [found, absent] = await Promise.all([
    openPorts(place, { ...input, programs: { path: `/nowhere:${bin}`, shown: [] } }),
    openPorts(place, { ...input, programs: { path: "/nowhere", shown: [] } }),
  ]);

  rmSync(place, { recursive: true });
  expect(found).toEqual([]);
  expect(absent).toMatchObject([{ port: 8888, hasPlaceholder: true }]);
});

test.each([
  ["codercom/code-server:latest", true],
  ["registry.example:5000/me/code-server@sha256:00", true],
  ["code-server", true],
  ["me/code-server-chat:1", false],
  ["code-server/chat", false],
  ["me/not-code-server", false],
])("reports whether an image named %s serves code-server: %s", (image, isIde) => {
  expect(servesIde({ command: null, env: {}, image })).toBe(isIde);
  expect(servesIde({ command: "sleep 1", env: {}, image })).toBe(false);
});
