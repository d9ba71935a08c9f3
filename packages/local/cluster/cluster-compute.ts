import type { Compute, JupyterStatus, Observation, RunAddress } from "#core/ports/compute.ts";
import { nameOfRun } from "#kubernetes/names.ts";
import type { ClusterEntries, Entry } from "./cluster-entries.ts";
import type { LocalPorts } from "./cluster-ports.ts";

export interface ClusterAccess {
  readonly entries: ClusterEntries;
  readonly ports: LocalPorts;
  readonly ssh: { readonly port: number; readonly hostKey: string } | undefined;
}

/**
 * Replaces the pod addresses of a cluster's runs by local ones that lead there through the API server. Pod addresses
 * may mean something else on this machine.
 */
export function withAccess(compute: Compute, access: ClusterAccess): Compute {
  const { entries, ports, ssh } = access;
  return {
    ...compute,
    async apply(run) {
      await compute.apply(run);
      const entry = entries.of({ uid: run.uid, run: run.run });
      const hasNoDisk = run.mounts.length === 0;
      if (ssh && entry.kept.hasNoDisk !== hasNoDisk) entries.keep(entry, { hasNoDisk });
    },
    async observe(uid, run) {
      const seen = await compute.observe(uid, run);
      if (seen && seen.state !== "ended" && !seen.terminating) {
        const entry = entries.of({ uid, run });
        entry.isOver = false;
        return withAddresses(access, entry, seen);
      }
      // Keep the entry until the run is removed: a run that is not seen now may be seen again.
      const name = nameOfRun({ uid, run });
      const entry = entries.find(name);
      if (entry) entry.isOver = true;
      ports.close(name);
      return seen && withoutAddresses(seen);
    },
    async tell(uid, run, notice) {
      const entry = entries.find(nameOfRun({ uid, run }));
      if (!ssh || !entry) return compute.tell(uid, run, notice);
      entry.notice = notice;
      if (notice.kind === "end") entries.noteEnd(entry, notice);
    },
    async setAccess(uid, run, access) {
      const entry = entries.of({ uid, run });
      const { revision, login, keys } = access;
      if ((entry.kept.access?.revision ?? 0) <= revision) entries.keep(entry, { access: { revision, login, keys } });
      await compute.setAccess(uid, run, access);
    },
    async remove(uid, run, removal) {
      const hasTombstones = await compute.remove(uid, run, removal);
      ports.close(nameOfRun({ uid, run }));
      entries.forget({ uid, run });
      return hasTombstones;
    },
  };
}

export async function reopen(access: Opening, compute: Pick<Compute, "listRuns">): Promise<void> {
  const { entries } = access;
  entries.keepOnly(await compute.listRuns());
  const kept = entries.all().flatMap((entry) => Object.keys(entry.kept.ports).map((port) => ({ entry, port })));
  await Promise.all(kept.map(({ entry, port }) => addressHere(access, entry, Number(port))));
}

function withoutAddresses(seen: Observation): Observation {
  return { ...seen, address: null, ports: seen.ports.map((port) => ({ ...port, address: null, answers: false })) };
}

async function withAddresses(access: ClusterAccess, entry: Entry, seen: Observation): Promise<Observation> {
  const jupyter = await jupyterHere(access, entry, seen.jupyter);
  const address = sshAddress(access, seen);
  const ports = seen.ports.map(async (port) => {
    if (!seen.started) return { ...port, address: null };
    if (port.kind === "ssh") return { ...port, address: hostAndPort(address) };
    if (port.kind === "jupyter") return { ...port, address: jupyter?.origin ? new URL(jupyter.origin).host : null };
    return { ...port, address: await addressHere(access, entry, port.port) };
  });
  const sessions = seen.sessions === null ? null : seen.sessions + entry.sessions.size + entry.pages.size;
  return { ...seen, address, jupyter, ports: await Promise.all(ports), sessions };
}

function sshAddress({ ssh }: ClusterAccess, { started, address }: Observation): RunAddress | null {
  if (!ssh) return address;
  return started ? { ip: "127.0.0.1", port: ssh.port, hostKey: ssh.hostKey } : null;
}

function hostAndPort(address: RunAddress | null): string | null {
  if (!address?.port) return null;
  return address.ip.includes(":") ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}

async function jupyterHere(
  access: ClusterAccess,
  entry: Entry,
  jupyter: JupyterStatus | null,
): Promise<JupyterStatus | null> {
  if (!jupyter?.origin) return jupyter;
  // Open to all local users, because Jupyter asks for its token.
  const address = await addressHere(access, entry, Number(new URL(jupyter.origin).port), true);
  return address === null
    ? { ...jupyter, state: "starting", origin: null }
    : { ...jupyter, origin: `http://${address}` };
}

/** Returns null if the host has no free port. The run must still be observed, so this must not throw. */
async function addressHere(
  { entries, ports }: Opening,
  entry: Entry,
  port: number,
  isOpenToAll = false,
): Promise<string | null> {
  try {
    const kept = entry.kept.ports[port];
    const number = await ports.open(nameOfRun(entry.id), port, kept, isOpenToAll);
    if (number !== kept) entries.keep(entry, { ports: { ...entry.kept.ports, [port]: number } });
    return `127.0.0.1:${number}`;
  } catch {
    return null;
  }
}

type Opening = Pick<ClusterAccess, "entries" | "ports">;
