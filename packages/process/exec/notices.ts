import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Access, Notice } from "#core/ports/compute.ts";
import { endWrittenAt, readEnd, readObject } from "../runs/records.ts";
import { writeWhole } from "../runs/run-directory.ts";

const noticeFile = "notice.json";

export function writeNotice(directory: string, notice: Notice): void {
  if ((readNotice(directory)?.at ?? 0) <= notice.at) writeWhole(directory, noticeFile, JSON.stringify(notice));
}

function readNotice(directory: string): Notice | undefined {
  const { kind, words, at, endsAt } = readObject(directory, noticeFile) ?? {};
  if (kind !== "warning" && kind !== "news" && kind !== "end") return undefined;
  if (typeof words !== "string" || typeof at !== "number") return undefined;
  return { kind, words, at, ...(typeof endsAt === "number" && { endsAt }) };
}

/** A run that ended by itself gets a notice with its exit code or reason. */
export function newestNotice(directory: string): Notice | undefined {
  const told = readNotice(directory);
  const end = told?.kind === "end" ? undefined : readEnd(directory);
  if (!end) return told;
  const why = end.exitCode === null ? end.reason : `command exited with code ${end.exitCode}`;
  const at = Math.max(endWrittenAt(directory) ?? 0, (told?.at ?? 0) + 1);
  return { kind: "end", words: `This environment has ended${why ? `: ${why}` : ""}`, at };
}

export interface EndedLogin {
  /** Each `<type> <base64>`. */
  readonly keys: readonly string[];
  readonly words: string;
  readonly at: number;
}

const KEPT_MS = 7 * 24 * 3_600_000;
const MOST_KEPT = 2_000;

/** Lets owners of admitted keys read for a week why an environment ended. */
export function noteEndedLogin(home: string, { login, keys }: Pick<Access, "login" | "keys">, end: Notice): void {
  if (keys.length === 0) return;
  const place = getPlace(home);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const names = readdirSync(place);
  if (names.length >= MOST_KEPT) forgetOldest(place, names);
  const { words, at } = end;
  writeWhole(place, formatName(login), JSON.stringify({ keys, words, at } satisfies EndedLogin));
}

export function findEndedLogin(home: string, login: string, now: number): EndedLogin | undefined {
  const { keys, words, at } = readObject(getPlace(home), formatName(login)) ?? {};
  if (!Array.isArray(keys) || typeof words !== "string" || typeof at !== "number") return undefined;
  if (now - at > KEPT_MS) return undefined;
  return { keys: keys.filter((key) => typeof key === "string"), words, at };
}

function forgetOldest(place: string, names: readonly string[]): void {
  const dated = names.map((name) => {
    const path = join(place, name);
    return { path, at: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  });
  const oldest = dated.toSorted((a, b) => a.at - b.at).slice(0, names.length - MOST_KEPT / 2);
  for (const { path } of oldest) rmSync(path, { force: true });
}

function getPlace(home: string): string {
  return join(home, "ended-logins");
}

/** A login may contain any character. */
function formatName(login: string): string {
  return createHash("sha256").update(login).digest("hex");
}
