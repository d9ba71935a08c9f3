import { describe } from "vitest";
import { manualClock } from "./clock.ts";
import { volumesConformance } from "./conformance/volumes.ts";
import { memoryVolumes } from "./memory-volumes.ts";

describe("the memory volumes", () => {
  volumesConformance(async () => {
    const clock = manualClock();
    const volumes = memoryVolumes({ clock, isMounted: () => false, snapshotMs: 50 });
    return { volumes, pass: async (ms) => clock.advance(ms), close: async () => undefined };
  });
});
