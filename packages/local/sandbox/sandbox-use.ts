import { join } from "node:path";
import type { Use } from "#gateway/ports/use.ts";
import { openSession } from "#process/supervisor/sessions.ts";

/** Marks a run as in use once, however many uses it has in this process. */
export function sandboxUse(home: string): (run: string) => Use {
  const used = new Map<string, { readonly uses: Set<object>; readonly unmark: () => void }>();
  return (run) => ({
    add: (one) => {
      const entry = used.get(run);
      if (entry) return entry.uses.add(one);
      return used.set(run, { uses: new Set([one]), unmark: openSession(join(home, "runs", run), process.pid) });
    },
    delete: (one) => {
      const entry = used.get(run);
      if (!entry?.uses.delete(one) || entry.uses.size > 0) return;
      used.delete(run);
      entry.unmark();
    },
  });
}
