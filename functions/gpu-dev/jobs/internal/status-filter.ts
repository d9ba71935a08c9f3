import * as z from "zod";
import { jobStatuses } from "./status.ts";

const words: readonly string[] = [...jobStatuses, "pending"];

/** Query parameter with statuses, separated by commas. Empty: all of them. */
export const StatusFilter = z
  .string()
  .transform((text) => text.split(",").map((word) => word.trim()))
  .transform((list) => (list.length === 1 && list[0] === "" ? undefined : list))
  .superRefine((list, ctx) => {
    if (list?.every((word) => words.includes(word)) ?? true) return;
    ctx.addIssue({ code: "custom", params: { type: "enum" }, message: `Input should be one of: ${words.join(", ")}` });
  })
  .optional();
