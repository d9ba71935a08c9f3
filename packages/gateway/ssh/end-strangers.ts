import type { SshDirectory } from "../ports/directory.ts";
import type { Guest } from "./login/ssh-login.ts";
import type { SshNotices } from "./ssh-notices.ts";

interface OpenClient {
  readonly guest: Guest | undefined;
  end(): void;
}

/**
 * Ends connections whose run has ended or whose key was removed, after their terminals have shown the reason. Checks each
 * pair of run and key once.
 */
export async function endStrangers(
  clients: Iterable<OpenClient>,
  directory: SshDirectory,
  notices: Pick<SshNotices, "sayGoodbye">,
): Promise<void> {
  const groups = new Map<string, { readonly guest: Guest; readonly ends: (() => void)[] }>();
  for (const { guest, end } of clients) {
    if (!guest) continue;
    const name = `${guest.run} ${guest.key}`;
    const group = groups.get(name) ?? { guest, ends: [] };
    group.ends.push(end);
    groups.set(name, group);
  }
  const checks = [...groups.values()].map(async ({ guest, ends }) => {
    if (await directory.admits(guest, guest.key)) return;
    await notices.sayGoodbye(guest.run, false);
    for (const end of ends) end();
  });
  await Promise.all(checks);
}
