import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Container, Pod } from "../kubelet/pod.ts";

/** Places of a container's files on this machine. */
export interface ContainerFiles {
  /** Makes its empty directories, which all containers of the pod share. */
  make(): Promise<void>;
  /** Has these directories of this machine at these paths, for whatever is started from now on. */
  mount(places: ReadonlyMap<string, string>): void;
  /** A command as it is started on this machine: where directories are mounted, in a view of its own by bubblewrap. */
  command(words: readonly string[]): string[];
  /** Its termination message, as much as a kubelet reads; undefined: it left none. */
  lastWords(): string | undefined;
}

const mostLastWords = 4096;
/** Where the programs of the tools image are in it (images/tools/Dockerfile). */
const toolsDirectory = "/tools";

/** In the directory of a pod, which has one `/tmp` for all its containers. */
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

/** This machine as it is, but for these directories and a `/tmp` that goes with the pod. */
function toView(mounted: ReadonlyMap<string, string>, cwd: string): string[] {
  const machine = readdirSync("/").filter((name) => name !== "tmp" && !mounted.has(`/${name}`));
  return [
    "bwrap",
    ...["--tmpfs", "/"],
    ...machine.flatMap((name) => ["--dev-bind-try", `/${name}`, `/${name}`]),
    ...["--bind", join(cwd, TMP), "/tmp"],
    // Its empty directories are named by their paths on this machine.
    ...["--bind", cwd, cwd],
    ...[...mounted].flatMap(([path, place]) => ["--bind", place, path]),
    ...["--chdir", cwd, "--"],
  ];
}
