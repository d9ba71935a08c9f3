import * as z from "zod";
import { list } from "./setting-forms.ts";

const RESOURCE =
  /^(hugepages-[1-9]\d{0,9}[KMGT]i|(?!nvidia\.com\/)[a-z0-9][a-z0-9.-]{0,251}\/[A-Za-z0-9][A-Za-z0-9._-]{0,62})$/;

/** Parses MACHINE_RESOURCES: extended resources and huge pages. GPUs, processors and memory have their own rules. */
export function machineResources() {
  return z
    .string()
    .transform((text) => text.split(",").map((entry) => entry.trim()))
    .transform((names) => (names.join() === "none" ? [] : names))
    .refine(
      (names) => names.every((name) => RESOURCE.test(name)),
      "must be none, or resources like vpc.amazonaws.com/efa,hugepages-2Mi",
    )
    .default(["vpc.amazonaws.com/efa", "hugepages-2Mi"]);
}

/** Parses POD_CAPABILITIES. No other capability is harmless outside of its container. */
export function podCapabilities() {
  return list(
    /^(SYS_PTRACE|IPC_LOCK|SYS_RESOURCE)$/,
    "capabilities among SYS_PTRACE, IPC_LOCK and SYS_RESOURCE",
  ).default([]);
}
