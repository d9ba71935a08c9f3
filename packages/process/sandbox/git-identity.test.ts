import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logText } from "#tests/fixtures/log-text.ts";
import { type Fixture, lacks, openFixture } from "../fixture.ts";

const lacking = spawnSync("git", ["--version"]).error ? "this machine has no git" : lacks("shared");

describe("the user of git in a sandbox", () => {
  if (lacking) {
    it("needs git and bubblewrap", ({ skip }) => skip(lacking));
    return;
  }

  let fixture: Fixture;
  beforeEach(() => {
    fixture = openFixture({ isolation: "bubblewrap" });
  });
  afterEach(() => fixture.close());

  const getOutput = async (command: string, env: Record<string, string>) => {
    await fixture.compute.apply(fixture.runOf({ command, env }));
    await fixture.ended();
    return logText(fixture.compute.readLog(fixture.uid, 1));
  };
  const asks = "git config user.name; git config user.email";

  it.each([
    ["unchanged", "John Doe", "john@example.com"],
    ["with quotes, a backslash and a line end", 'J "D" \\ Doe\n[core]\nfsmonitor = touch x', "j@x; #"],
    ["that resembles a setting", "]x[include] path = /etc/passwd", " leading and trailing "],
  ])("is the one in its variables: %s", async (_, name, email) => {
    const seen = await getOutput(`${asks}; git config core.fsmonitor`, { GIT_USER_NAME: name, GIT_USER_EMAIL: email });

    expect(seen).toBe(`${name}\n${email}\n`);
  });

  it("yields to settings of the home and of a repository, and is unset without variables", async () => {
    const ownName = "git config --global user.name Global; git init -q r; git -C r config user.name Local";
    const seen = await getOutput(`${ownName}; git config user.name; git -C r config user.name; ${asks}`, {
      GIT_USER_EMAIL: "john@example.com",
    });

    expect(seen).toBe("Global\nLocal\nGlobal\njohn@example.com\n");
  });

  it("is in no file of the machine", async () => {
    await getOutput("true", { GIT_USER_NAME: "Seldom Name 7f3a" });

    const files = readdirSync(fixture.home, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    const holding = files.filter(({ parentPath, name }) =>
      readFileSync(join(parentPath, name), "latin1").includes("Seldom Name"),
    );
    expect(files.length).toBeGreaterThan(3);
    expect(holding).toEqual([]);
  });
});
