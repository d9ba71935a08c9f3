import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Container, Pod } from "../kubelet/pod.ts";

/** Directories of a container's files on this machine. */
export interface ContainerFiles {
  /** Creates its empty directories, which all containers of the pod share. */
  make(): Promise<void>;
  /** Mounts directories of this machine at these paths, for commands that start later. */
  mount(places: ReadonlyMap<string, string>): void;
  /** Returns the words that start a command on this machine, in bubblewrap if directories are mounted. */
  command(words: readonly string[]): string[];
  /** Returns its termination message up to the length that a kubelet reads; undefined if there is none. */
  lastWords(): string | undefined;
}

const mostLastWords = 4096;
/** Directory of the programs in the tools image (images/tools/Dockerfile). */
const toolsDirectory = "/tools";

/** Directory of a pod that all its containers see as `/tmp`. */
const TMP = "tmp";

export function containerFiles(
  { spec: { volumes = [] } }: Pod,
  { name, volumeMounts = [], terminationMessagePath = "/dev/termination-log" }: Container,
  { cwd, tools }: { readonly cwd: string; readonly tools: string | undefined },
): ContainerFiles {
  const empty = new Set(
    volumes.filter(({ emptyDir }) => emptyDir && emptyDir.medium === undefined).map((volume) => volume.name),
  );
  const mounts = volumeMounts.filter((mount) => empty.has(mount.name));
  const places = new Map([
    [terminationMessagePath, join(cwd, `last-words-of-${name}`)],
    ...(tools === undefined ? [] : [[toolsDirectory, tools] as const]),
    ...mounts.map((mount) => [mount.mountPath, join(cwd, mount.name)] as const),
  ]);
  let mounted: ReadonlyMap<string, string> = new Map();
  const formatWord = (word: string) => {
    const place = [...places.keys()].find((path) => word === path || word.startsWith(`${path}/`));
    return place === undefined ? word : `${places.get(place)}${word.slice(place.length)}`;
  };
  return {
    mount(more) {
      mounted = more;
    },
    command(words) {
      return [...(mounted.size > 0 ? toView(mounted, cwd) : []), ...words.map(formatWord)];
    },
    async make() {
      const names = [...mounts.map((mount) => mount.name), TMP];
      await Promise.all(names.map((name) => mkdir(join(cwd, name), { recursive: true })));
    },
    lastWords() {
      const file = places.get(terminationMessagePath) ?? "";
      return existsSync(file) ? readFileSync(file, "utf8").slice(0, mostLastWords) : undefined;
    },
  };
}

/** Returns bubblewrap's options for a view of this machine with these directories and the pod's `/tmp`. */
function toView(mounted: ReadonlyMap<string, string>, cwd: string): string[] {
  const machine = readdirSync("/").filter((name) => name !== "tmp" && !mounted.has(`/${name}`));
  return [
    "bwrap",
    ...["--tmpfs", "/"],
    ...machine.flatMap((name) => ["--dev-bind-try", `/${name}`, `/${name}`]),
    ...["--bind", join(cwd, TMP), "/tmp"],
    // Variables name its empty directories by their paths on this machine.
    ...["--bind", cwd, cwd],
    ...[...mounted].flatMap(([path, place]) => ["--bind", place, path]),
    ...["--chdir", cwd, "--"],
  ];
}
