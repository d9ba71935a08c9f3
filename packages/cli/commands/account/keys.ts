import { connect } from "../../login/connect.ts";
import { collect } from "../../terminal/collect.ts";
import { table } from "../../terminal/layout.ts";
import { out, outJson, outputColumns, shownTime } from "../../terminal/terminal.ts";
import { printable } from "../../terminal/text.ts";

interface JsonFlags {
  readonly json: boolean;
}

/** Prints the API keys that work. */
export async function list({ json }: JsonFlags): Promise<void> {
  const keys = await collect((await connect()).keys.list());
  if (json) return outJson(keys);
  const rows = keys.map(({ key_prefix, kind, created_at, expires_at, last_used_at, current }) => {
    const times = [created_at, expires_at, last_used_at].map(shownTime);
    return [key_prefix, printable(kind), ...times, current ? "this one" : ""];
  });
  out(table([["PREFIX", "KIND", "CREATED", "EXPIRES", "LAST USED", ""], ...rows], outputColumns()));
}

/** Revokes an API key. */
export async function revoke({ json }: JsonFlags, prefix: string): Promise<void> {
  const revoked = await (await connect()).keys.revoke(prefix);
  if (json) return outJson(revoked);
  out(`Revoked ${printable(revoked.key_prefix)}.\n`);
}
