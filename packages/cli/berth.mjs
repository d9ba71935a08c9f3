#!/usr/bin/env node
import { existsSync } from "node:fs";

// A package holds the bundle. A checkout holds the source, which the Node of this project reads as it is.
const bundle = new URL("dist/berth.mjs", import.meta.url);
await import(existsSync(bundle) ? bundle.href : "./main.ts");
