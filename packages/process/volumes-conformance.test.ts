import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe } from "vitest";
import { archivesConformance } from "#tests/conformance/archives.ts";
import { volumesConformance } from "#tests/conformance/volumes.ts";
import { copyByNode, findCopy } from "./volumes/copy.ts";
import { volumeData } from "./volumes/volume-directory.ts";
import { processVolumes } from "./volumes/volumes.ts";

describe.each([
  ["this machine's best way", findCopy()],
  ["Node", copyByNode],
] as const)("process volumes as all Volumes, copied by %s", (_, copy) => {
  const open = async () => {
    const home = mkdtempSync(join(tmpdir(), "berth-volumes-"));
    const volumes = processVolumes({ home, copy });
    const file = (volume: string) => join(volumeData(home, volume), "file");
    return {
      volumes,
      pass: async (ms: number) => void (await sleep(ms)),
      content: {
        write: async (volume: string, text: string) => writeFileSync(file(volume), text),
        read: async (volume: string) => readFileSync(file(volume), "utf8"),
      },
      close: async () => {
        await volumes.shutdown();
        rmSync(home, { recursive: true });
      },
    };
  };
  volumesConformance(open);
  archivesConformance(open);
});
