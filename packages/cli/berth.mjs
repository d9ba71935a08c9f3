#!/usr/bin/env node
import module, { createRequire } from "node:module";

// An import of node:fs would load streams, too.
const { existsSync, lstatSync, mkdirSync, statSync } = createRequire(import.meta.url)("node:fs");

keepCompiledCode();
// A package holds the bundle. A checkout holds the source, which the Node of this project reads as it is.
const bundle = new URL("dist/berth.mjs", import.meta.url);
if (existsSync(bundle)) await import(bundle.href);
else if (process.features.typescript) await import("./main.ts");
else refuseNode();

/** npx uses the Node that npm installed in the checkout. A path to this file uses the machine's. */
function refuseNode() {
  process.stderr.write(
    `error: berth from a checkout needs Node 22.19 or newer, and this is Node ${process.versions.node}\n` +
      "hint: In the checkout, npx berth uses the right Node. Elsewhere, install berth from your deployment:\n" +
      "      npm install -g https://<your deployment>/cli/berth.tgz\n",
  );
  process.exitCode = 1;
}

/**
 * Lets Node keep compiled code in the state directory, once a login has made one. Node's own default lies in the
 * temporary directory, where other users can put code.
 */
function keepCompiledCode() {
  const { XDG_CONFIG_HOME = "", HOME = "" } = process.env;
  const state = `${XDG_CONFIG_HOME.startsWith("/") ? XDG_CONFIG_HOME : `${HOME}/.config`}/berth`;
  const compiled = `${state}/compiled`;
  try {
    if (!isPrivate(statSync(state))) return;
    if (!existsSync(compiled)) mkdirSync(compiled, { mode: 0o700 });
    // Node 20 has no such function.
    if (isPrivate(lstatSync(compiled))) module.enableCompileCache?.(compiled);
  } catch {
    // Without a directory that can be written Node compiles at each start.
  }
}

function isPrivate(entry) {
  return entry.isDirectory() && entry.uid === process.getuid?.() && (entry.mode & 0o022) === 0;
}
