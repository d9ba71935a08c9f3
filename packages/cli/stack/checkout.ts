import { mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CliError, exitCodes } from "../failure.ts";

/** The checkout that this command line is part of, and the home of its stack. */
export interface Checkout {
  readonly root: string;
  readonly home: string;
  readonly log: string;
}

/** Returns the checkout. Throws in the packed command line, which has none. */
export function findCheckout(): Checkout {
  const file = fileURLToPath(import.meta.url);
  if (!file.endsWith(".ts")) {
    const hint = "Clone the repository, run npm ci there, and use npx berth stack start.";
    throw new CliError(
      "The embedded stack runs from a checkout of Berth, and this is the packed berth",
      exitCodes.failed,
      hint,
    );
  }
  const root = resolve(dirname(file), "../../..");
  const home = resolve(process.env.BERTH_HOME || join(root, ".berth"));
  return { root, home, log: join(home, "stack.log") };
}

/** Creates the home if it is missing. Throws if the directory is another user's or holds files that no stack wrote. */
export function prepareHome(home: string): void {
  const hint = "Set BERTH_HOME to a directory of your own.";
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    if (statSync(home).uid !== process.getuid?.())
      throw new CliError(`${home} belongs to another user`, exitCodes.failed, hint);
    const names = readdirSync(home);
    const isHome = names.some((name) => ["format", "stack.json", "db"].includes(name));
    const foreign = names.filter(
      (name) => !/^(lost\+found|lock|stack\.log(\.1)?|(format|lock|start)\.\d+(\.[\da-f]+)?)$/.test(name),
    );
    if (!isHome && foreign.length > 0) {
      throw new CliError(`${home} contains other files, and a stack needs its own directory`, exitCodes.failed, hint);
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    throw new CliError(`${home} cannot be used: ${code}`, exitCodes.failed, hint);
  }
}
