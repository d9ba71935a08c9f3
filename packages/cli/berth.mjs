#!/usr/bin/env node
import { createRequire } from "node:module";

// An import of node:fs would load streams, too.
const { existsSync } = createRequire(import.meta.url)("node:fs");

// A package holds the bundle. A checkout holds the source, which the Node of this project reads as it is.
const bundle = new URL("dist/berth.mjs", import.meta.url);
await import(existsSync(bundle) ? bundle.href : "./main.ts");
