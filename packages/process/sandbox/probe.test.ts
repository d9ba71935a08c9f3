import { describe, expect, it } from "vitest";
import { systemPath } from "./local-path.ts";
import { probe, probeSync, TooSlow } from "./probe.ts";

const shell = (text: string) => ({ program: "/bin/sh", words: ["-c", text], env: { PATH: systemPath } });

describe("a probe of the machine", () => {
  it("succeeds or fails", async () => {
    const tried = [shell("exit 0"), shell("exit 1"), { ...shell(""), program: "/no/such/program" }];

    expect(tried.map((entry) => probeSync("It", entry))).toEqual([true, false, false]);
    expect(await Promise.all(tried.map((entry) => probe("It", entry)))).toEqual([true, false, false]);
  });

  it("throws on a machine that is too slow, instead of failing", async () => {
    const never = shell("sleep 600");

    expect(() => probeSync("It", never, 50)).toThrow("It could not be tested within 0.05 s");
    await expect(probe("It", never, 50)).rejects.toThrow(TooSlow);
  });
});
