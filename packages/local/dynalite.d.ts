declare module "dynalite" {
  import type { Server } from "node:http";

  export default function dynalite(options?: {
    readonly path?: string;
    readonly createTableMs?: number;
    readonly deleteTableMs?: number;
    readonly updateTableMs?: number;
  }): Server;
}

declare module "dynalite/db/index.js" {
  type Done = (error?: unknown) => void;

  export interface IndexDb {
    del(key: string, done: Done): void;
    put(key: string, value: unknown, done: Done): void;
    createKeyStream(): AsyncIterable<unknown>;
    createValueStream(options: object): AsyncIterable<unknown>;
  }

  export interface DynaliteStore {
    readonly db: { close(done: Done): void };
    getIndexDb(type: "global", table: string, index: string): IndexDb;
  }

  export function create(options: { readonly path: string }): DynaliteStore;
}
