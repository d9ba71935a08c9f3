import type { Berth } from "../../sdk/berth.ts";
import { connect } from "../login/connect.ts";
import { out, outJson, say } from "./terminal.ts";

/** A view that a command prints once, or repeatedly until Ctrl-C. */
export interface View<Data> {
  read(): Promise<Data>;
  /** Returns lines for users, or an empty text if there is nothing to show. */
  describe(data: Data): string;
  /** Words in place of an empty text. */
  readonly emptyWords?: string;
}

export interface ViewFlags {
  readonly json: boolean;
  readonly watch: boolean;
}

export type OpenView<Data> = (berth: Berth) => View<Data> | Promise<View<Data>>;

/** Shows a view once, or with `--watch` again whenever it changes. */
export async function showView<Data>({ json, watch }: ViewFlags, open: OpenView<Data>): Promise<void> {
  if (watch) return (await import("./watch-view.ts")).watchView(json, open);
  const { read, describe, emptyWords = "" } = await open(await connect());
  const data = await read();
  if (json) return outJson(data);
  const text = describe(data);
  if (text === "") return say(emptyWords);
  out(text);
}
