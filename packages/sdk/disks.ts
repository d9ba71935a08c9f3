import { errorFor } from "./errors.ts";
import { longestOutageMs, readUnlessAway } from "./outage.ts";
import { sleep } from "./retry.ts";
import type { components } from "./schema.ts";
import type { CallOptions, CreateOptions, Transport } from "./transport.ts";

type Schemas = components["schemas"];
export type Disk = Schemas["Disk"];
export type DiskOperation = Schemas["DiskOperation"];
export type DiskRequested = Schemas["DiskRequested"];
export type Snapshot = Schemas["Snapshot"];

/** Named disks of the key's owner. */
export class Disks {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Requests a disk. `settle` waits until it exists.
   *
   * @example
   * await berth.disks.settle(await berth.disks.create({ disk_name: "data", size_gb: 100 }));
   */
  create(disk: Schemas["CreateDisk"], options: CreateOptions = {}): Promise<DiskRequested> {
    return this.#transport.send("POST", "/v1/disks", { ...options, body: disk, repeat: "key" });
  }

  /**
   * Yields the disks, newest first. With `deleted` it yields those that `undelete` can bring back.
   *
   * @example
   * for await (const disk of berth.disks.list()) console.log(disk.disk_name, disk.in_use);
   */
  async *list({ deleted, ...options }: CallOptions & { readonly deleted?: boolean } = {}): AsyncGenerator<Disk> {
    const query = { deleted: deleted || undefined };
    const { disks } = await this.#transport.send<Schemas["DiskList"]>("GET", "/v1/disks", { ...options, query });
    yield* disks;
  }

  /**
   * Returns one disk.
   *
   * @example
   * const { snapshot_count } = await berth.disks.get("data");
   */
  get(name: string, options: CallOptions = {}): Promise<Disk> {
    return this.#transport.send("GET", formatPath(name), options);
  }

  /**
   * Marks a disk for deletion. It can be brought back for 30 days.
   *
   * @example
   * const { message } = await berth.disks.delete("data");
   */
  delete(name: string, options: CreateOptions = {}): Promise<DiskRequested> {
    return this.#transport.send("DELETE", formatPath(name), { ...options, repeat: "key" });
  }

  /**
   * Brings a deleted disk back.
   *
   * @example
   * await berth.disks.undelete("data");
   */
  undelete(name: string, options: CreateOptions = {}): Promise<DiskRequested> {
    return this.#transport.send("POST", `${formatPath(name)}/undelete`, { ...options, repeat: "key" });
  }

  /**
   * Renames a disk.
   *
   * @example
   * await berth.disks.rename("data", "old-data");
   */
  rename(name: string, newName: string, options: CreateOptions = {}): Promise<Schemas["DiskRenamed"]> {
    const body = { new_name: newName };
    return this.#transport.send("POST", `${formatPath(name)}/rename`, { ...options, body, repeat: "key" });
  }

  /**
   * Yields the snapshots of a disk, newest first.
   *
   * @example
   * for await (const { snapshot_id, snapshot_date } of berth.disks.snapshots("data")) console.log(snapshot_id, snapshot_date);
   */
  async *snapshots(name: string, options: CallOptions = {}): AsyncGenerator<Snapshot> {
    const path = `${formatPath(name)}/snapshots`;
    const { snapshots } = await this.#transport.send<Schemas["DiskSnapshotList"]>("GET", path, options);
    yield* snapshots;
  }

  /**
   * Requests a snapshot of a disk, which may be in use. `settle` waits until it is completed.
   *
   * @example
   * const { snapshot_id } = await berth.disks.settle(await berth.disks.snapshot("data"));
   */
  snapshot(name: string, options: CreateOptions = {}): Promise<Schemas["DiskSnapshotRequested"]> {
    return this.#transport.send("POST", `${formatPath(name)}/snapshots`, { ...options, repeat: "key" });
  }

  /**
   * Creates a disk from a snapshot.
   *
   * @example
   * await berth.disks.restore("data", { snapshot_id: "snap-1", new_name: "data-of-monday" });
   */
  restore(name: string, body: Schemas["RestoreDisk"], options: CreateOptions = {}): Promise<Schemas["DiskRestored"]> {
    return this.#transport.send("POST", `${formatPath(name)}/restore`, { ...options, body, repeat: "key" });
  }

  /**
   * Returns the list of files that the last backup saw.
   *
   * @example
   * const { content, message } = await berth.disks.content("data");
   */
  content(name: string, options: CallOptions = {}): Promise<Schemas["DiskContent"]> {
    return this.#transport.send("GET", `${formatPath(name)}/content`, options);
  }

  /**
   * Waits until a requested operation is completed. Throws an `ActionFailedError` if it failed, and a `WaitTimeoutError`
   * 10 minutes after the last answer of the server.
   *
   * @example
   * const { delete_date } = await berth.disks.settle(await berth.disks.delete("data"));
   */
  async settle(requested: DiskRequested, options: CallOptions = {}): Promise<DiskOperation> {
    let answeredAt = performance.now();
    for (let delayMs = 250; ; delayMs = Math.min(delayMs * 2, 5000)) {
      const operation = await readUnlessAway(() => this.operation(requested, options));
      if (operation) answeredAt = performance.now();
      if (performance.now() - answeredAt > longestOutageMs) {
        throw errorFor(`${requested.action} is not done yet`, { status: 0, code: "timeout" });
      }
      if (operation?.completed) return operation;
      await sleep(delayMs, options.signal);
    }
  }

  /**
   * Returns the state of a requested operation. Throws an `ActionFailedError` if it failed.
   *
   * @example
   * const { completed } = await berth.disks.operation(await berth.disks.snapshot("data"));
   */
  async operation({ disk_name, operation_id }: DiskRequested, options: CallOptions = {}): Promise<DiskOperation> {
    const path = `${formatPath(disk_name)}/operations/${encodeURIComponent(operation_id)}`;
    const operation = await this.#transport.send<DiskOperation>("GET", path, options);
    if (operation.status !== "failed") return operation;
    throw errorFor(operation.error ?? `${operation.action} failed`, { status: 200, code: "action_failed" });
  }
}

function formatPath(name: string): string {
  return `/v1/disks/${encodeURIComponent(name)}`;
}
