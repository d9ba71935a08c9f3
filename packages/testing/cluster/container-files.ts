import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Container, Pod } from "./pod.ts";

/** Where files of a container are on this machine. */
export interface ContainerFiles {
  /** Makes its empty directories, which all containers of the pod share. */
  make(): Promise<void>;
  /** A word of a command, with the path on this machine in place of one in the container. */
  word(word: string): string;
  /** Its termination message, as much as a kubelet reads; undefined: it left none. */
  lastWords(): string | undefined;
}

const mostLastWords = 4096;
/** Where the programs of the tools image are in it (images/tools/Dockerfile). */
const toolsDirectory = "/tools";

export function containerFiles(
  { spec: { volumes = [] } }: Pod,
  { name, volumeMounts = [], terminationMessagePath = "/dev/termination-log" }: Container,
  { cwd, tools }: { readonly cwd: string; readonly tools: string | undefined },
): ContainerFiles {
  const empty = new Set(
    volumes.filter(({ emptyDir }) => emptyDir && emptyDir.medium === undefined).map((one) => one.name),
  );
  const mounts = volumeMounts.filter((mount) => empty.has(mount.name));
  const places = new Map([
    [terminationMessagePath, join(cwd, `last-words-of-${name}`)],
    ...(tools === undefined ? [] : [[toolsDirectory, tools] as const]),
    ...mounts.map((mount) => [mount.mountPath, join(cwd, mount.name)] as const),
  ]);
  return {
    async make() {
      await Promise.all(mounts.map((mount) => mkdir(join(cwd, mount.name), { recursive: true })));
    },
    word(word) {
      const place = [...places.keys()].find((path) => word === path || word.startsWith(`${path}/`));
      return place === undefined ? word : `${places.get(place)}${word.slice(place.length)}`;
    },
    lastWords() {
      const file = places.get(terminationMessagePath) ?? "";
      return existsSync(file) ? readFileSync(file, "utf8").slice(0, mostLastWords) : undefined;
    },
  };
}
