import { mkdtempSync, rmSync } from "node:fs";
import { afterAll, describe } from "vitest";
import type { Compute, Observation, Run } from "#core/ports/compute.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import { directoryConformance } from "#tests/conformance/directory.ts";
import { withAccess } from "./cluster-compute.ts";
import { clusterEntries } from "./cluster-entries.ts";
import { clusterPorts } from "./cluster-gateway.ts";
import { localPorts } from "./cluster-ports.ts";

const homes: string[] = [];
afterAll(() => {
  for (const home of homes) rmSync(home, { recursive: true });
});

describe("the directory in the home of a stack", () => {
  directoryConformance(async () => {
    const home = mkdtempSync("/var/tmp/berth-directory-");
    homes.push(home);
    const entries = clusterEntries(home);
    const over = new Set<string>();
    const cluster = {
      apply: async () => undefined,
      setAccess: async () => undefined,
      observe: async (uid, run) => {
        const seen = { state: "ready", started: true, ports: [], address: null, jupyter: null, sessions: 0 };
        return over.has(nameOfRun({ uid, run })) ? undefined : (seen as Partial<Observation> as Observation);
      },
    } as Partial<Compute> as Compute;
    const none = () => Promise.reject(new Error("none"));
    const ssh = { port: 2222, hostKey: "ssh-ed25519 HOST" };
    const compute = withAccess(cluster, { entries, ports: localPorts(none), ssh });
    let count = 0;
    const parse = (name: string) => ({ uid: name.slice(0, 32), run: 1 });
    return {
      directory: clusterPorts(entries, { open: none, dial: none }).directory,
      begin: async ({ login, keys, hasDisk }) => {
        count += 1;
        const uid = count.toString(16).padStart(32, "0");
        const mounts = hasDisk ? [{ volume: { id: "vol-1", zone: "z" }, path: "/workspace" }] : [];
        await compute.apply({ uid, run: 1, mounts } as Partial<Run> as Run);
        await compute.setAccess(uid, 1, { revision: 1, login, keys, jupyter: null });
        return nameOfRun({ uid, run: 1 });
      },
      warn: async (name) => {
        const words = "Expires in 5 minutes";
        await compute.tell(parse(name).uid, 1, { kind: "warning", words, at: Date.now() });
        return words;
      },
      end: async (name) => {
        const words = "This environment was cancelled: Cancelled by its owner";
        await compute.tell(parse(name).uid, 1, { kind: "end", words, at: Date.now() });
        over.add(name);
        await compute.observe(parse(name).uid, 1);
        return words;
      },
      wait: async () => undefined,
    };
  });
});
