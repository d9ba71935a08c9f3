import { beforeEach, describe, expect, it } from "vitest";
import type { SshDirectory } from "#gateway/ports/directory.ts";

/** A directory under test, and what happens to its environments. */
export interface DirectoryUnderTest {
  readonly directory: SshDirectory;
  /** Starts an environment that admits these keys, and returns the name of its run. */
  begin(environment: {
    readonly login: string;
    readonly keys: readonly string[];
    readonly hasDisk?: true;
  }): Promise<string>;
  /** Warns the users of a run, and returns the words. */
  warn(run: string): Promise<string>;
  /** Ends a run, and returns the words that say why. */
  end(run: string): Promise<string>;
  /** Lets so much time pass that an earlier answer is no excuse. */
  wait(): Promise<void>;
}

const [first, second] = ["a", "b"].map((letter) => `ssh-ed25519 ${sshKey(letter)}`) as [string, string];

function sshKey(letter: string): string {
  const name = Buffer.from("ssh-ed25519");
  return Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.alloc(36, letter)]).toString("base64");
}

/** Conformance tests for the directories of the gateway. */
export function directoryConformance(open: () => Promise<DirectoryUnderTest>): void {
  let test: DirectoryUnderTest;
  beforeEach(async () => {
    test = await open();
  });

  const find = async (login: string) =>
    [...(await test.directory.find(login))].sort((a, b) => (a.name < b.name ? -1 : 1));

  describe("living environments", () => {
    it("are found by their SSH user name, with their keys", async () => {
      const name = await test.begin({ login: "gpu-dev-1", keys: [first, second] });
      await test.begin({ login: "gpu-dev-2", keys: [first] });

      expect(await find("gpu-dev-1")).toEqual([{ name, keys: [first, second] }]);
      expect(await find("gpu-dev-3")).toEqual([]);
    });

    it("are all found if they have one user name by chance", async () => {
      const names = [
        await test.begin({ login: "gpu-dev-one", keys: [first] }),
        await test.begin({ login: "gpu-dev-one", keys: [second] }),
      ];

      const found = await find("gpu-dev-one");

      expect(found.map(({ name }) => name)).toEqual(names.toSorted());
      expect(found.map(({ keys }) => keys).toSorted()).toEqual([[first], [second]].toSorted());
    });

    it("admit their own keys only", async () => {
      const run = await test.begin({ login: "gpu-dev-one", keys: [first] });
      const other = await test.begin({ login: "gpu-dev-two", keys: [second] });
      const { directory } = test;

      expect(await directory.admits({ run, login: "gpu-dev-one" }, first)).toBe(true);
      expect(await directory.admits({ run, login: "gpu-dev-one" }, second)).toBe(false);
      expect(await directory.admits({ run: other, login: "gpu-dev-two" }, first)).toBe(false);
      expect(await directory.admits({ run: `${run}9`, login: "gpu-dev-one" }, first)).toBe(false);
    });

    it("tell whether their files are lost at their end", async () => {
      const run = await test.begin({ login: "gpu-dev-one", keys: [first] });
      const kept = await test.begin({ login: "gpu-dev-two", keys: [first], hasDisk: true });
      const { directory } = test;

      const answers = [
        await directory.hasNoDisk({ run, login: "gpu-dev-one" }),
        await directory.hasNoDisk({ run: kept, login: "gpu-dev-two" }),
      ];

      expect(answers).toEqual([true, false]);
    });

    it("have no notice, and then the newest", async () => {
      const run = await test.begin({ login: "gpu-dev-one", keys: [first] });
      const before = await test.directory.findNotice({ run, login: "gpu-dev-one" });

      const words = await test.warn(run);
      await test.wait();

      expect(before).toBeUndefined();
      expect(await test.directory.findNotice({ run, login: "gpu-dev-one" })).toMatchObject({ kind: "warning", words });
      expect(await test.directory.findEnded("gpu-dev-one")).toBeUndefined();
    });
  });

  describe("an ended environment", () => {
    it("admits no key, and tells the owners of its keys why it ended", async () => {
      const run = await test.begin({ login: "gpu-dev-one", keys: [first, second] });
      await test.begin({ login: "gpu-dev-two", keys: [first] });

      const words = await test.end(run);
      await test.wait();

      expect(await find("gpu-dev-one")).toEqual([]);
      expect(await test.directory.admits({ run, login: "gpu-dev-one" }, first)).toBe(false);
      expect(await test.directory.findEnded("gpu-dev-one")).toMatchObject({ keys: [first, second], words });
      expect(await test.directory.findEnded("gpu-dev-two")).toBeUndefined();
      expect((await find("gpu-dev-two")).length).toBe(1);
    });

    it("leaves an environment with its user name open", async () => {
      const run = await test.begin({ login: "gpu-dev-one", keys: [first] });
      const name = await test.begin({ login: "gpu-dev-one", keys: [second] });

      await test.end(run);
      await test.wait();

      expect(await find("gpu-dev-one")).toEqual([{ name, keys: [second] }]);
      expect(await test.directory.admits({ run: name, login: "gpu-dev-one" }, second)).toBe(true);
    });
  });
}
