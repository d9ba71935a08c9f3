import type { Directory } from "#core/disks/names/directory.ts";
import { namedById } from "#core/disks/names/lost-directory.ts";
import type { Disk } from "#core/disks/record.ts";
import type { Item } from "#core/ports/table.ts";

export interface NameWatch {
  wrote(item: Item): void;
}

/** A disk keeps its name until its purge unless a new disk takes a deleted one's name, and no name has two disks. */
export function nameWatch(options: {
  readonly disks: () => ReadonlyMap<string, Disk>;
  readonly violated: (text: string) => void;
}): NameWatch {
  const { disks, violated } = options;
  const directories = new Map<string, ReadonlyMap<string, string>>();

  function isGivenUp(uid: string): boolean {
    const phase = disks().get(uid)?.phase;
    return phase === undefined || phase === "deleted" || phase === "purging" || phase === "purged";
  }

  return {
    wrote(item) {
      if (item.kind !== "directory") return;
      // The format is the same in a newer version.
      const { pk, names } = item as unknown as Directory;
      const before = directories.get(pk);
      const next = new Map(names.map(([name, uid]) => [uid, name]));
      directories.set(pk, next);
      if (next.size < names.length) violated(`a disk of ${pk} has two names`);
      if (new Set(next.values()).size < names.length) violated(`two disks of ${pk} have one name`);
      for (const [uid, name] of before ?? []) {
        const newName = next.get(uid);
        const phase = disks().get(uid)?.phase;
        if (newName === undefined && phase !== "purging" && phase !== "purged") violated(`disk ${name} lost its name`);
        if (newName === namedById(name, uid) && !isGivenUp(uid)) violated(`${phase} disk ${name} was set aside`);
      }
    },
  };
}
