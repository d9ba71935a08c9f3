import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { BerthError } from "../../sdk/errors.ts";
import { firstDelayMs, longestDelayMs } from "../../sdk/outage.ts";
import { needsLogin } from "./lost-session.ts";

type QueryKey = readonly (string | number | boolean | undefined)[];

interface Pace {
  delayMs: number;
  /** The delay until the next read. Choose it once per read, because each change restarts the timer. */
  nextDelayMs: number;
}

interface LiveOptions<Data> {
  readonly isPaused?: boolean;
  /** Reports whether so little is expected to change that the next read may come after a minute. */
  isQuiet?(data: Data): boolean;
  /** Returns the new answer with the unchanged objects of the last one. Absent: items of lists are compared by place. */
  share?(before: Data | undefined, now: Data): Data;
}

const quietMs = 60_000;

/** The state of each poll, by query key. */
const paces = new Map<string, Pace>();

/**
 * Reads again and again while the page is visible, at the pace of the SDK: after a second at first, then after up to
 * 15 s, and after a second again once something changed.
 */
export function useLive<Data>(
  key: QueryKey,
  read: (signal: AbortSignal) => Promise<Data>,
  { isPaused = false, isQuiet, share }: LiveOptions<Data> = {},
): UseQueryResult<Data, Error> {
  const name = JSON.stringify(key);
  return useQuery({
    queryKey: key,
    queryFn: async ({ client, signal }) => {
      const answer = await read(signal);
      const before = client.getQueryData<Data>(key);
      const data = share ? share(before, answer) : answer;
      keepPace(name, isEqual(before, data, restless));
      return data;
    },
    refetchInterval: ({ state: { error, data } }) => {
      if (isPaused || !canRecover(error)) return false;
      if (data !== undefined && isQuiet?.(data)) return quietMs;
      if (error) return longestDelayMs;
      return paces.get(name)?.nextDelayMs ?? firstDelayMs;
    },
    refetchIntervalInBackground: false,
    structuralSharing: !share,
    // A screen does not repeat a read that was made before it appeared.
    staleTime: firstDelayMs,
  });
}

/**
 * Returns a `share` for lists that keeps each unchanged item, also at another place, so that its row is not drawn again.
 * The structural sharing of TanStack Query copies each item before it compares.
 */
export function shareItems<Item>(itemKey: (item: Item) => string) {
  return (before: Item[] | undefined, now: Item[]): Item[] => {
    const previous = new Map(before?.map((item) => [itemKey(item), item]));
    const items = now.map((item) => {
      const last = previous.get(itemKey(item));
      return last !== undefined && isEqual(last, item) ? last : item;
    });
    return items.length === before?.length && items.every((item, index) => item === before[index]) ? before : items;
  };
}

/** Reads once, and again after a failure or when the page is shown after a while. */
export function useOnce<Data>(
  key: QueryKey,
  read: (signal: AbortSignal) => Promise<Data>,
): UseQueryResult<Data, Error> {
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => read(signal),
    refetchInterval: ({ state: { error } }) => error !== null && canRecover(error) && longestDelayMs,
    staleTime: 5 * 60_000,
  });
}

/** Returns data that another part of the page has read. It starts no read. */
export function useKept<Data>(key: QueryKey): Data | undefined {
  return useQuery<Data>({ queryKey: key, enabled: false }).data;
}

/** Makes the next read of every poll come soon. */
export function hurry(): void {
  for (const pace of paces.values()) Object.assign(pace, { delayMs: firstDelayMs, nextDelayMs: firstDelayMs });
}

function keepPace(name: string, isSame: boolean): void {
  const pace = paces.get(name);
  const delayMs = pace && isSame ? Math.min(pace.delayMs * 2, longestDelayMs) : firstDelayMs;
  paces.set(name, { delayMs, nextDelayMs: delayMs * (0.9 + Math.random() / 5) });
}

/** These values change by themselves. */
const restless: ReadonlySet<string> = new Set([
  "gpu_hours",
  "timestamp",
  "estimated_wait_minutes",
  "estimated_start_time",
  "estimated_start_latest",
  "last_used_at",
]);

const noFields: ReadonlySet<string> = new Set();

/** Compares two answers, which are JSON, without the values of some fields. */
function isEqual(left: unknown, right: unknown, without = noFields): boolean {
  if (left === right) return true;
  if (!isObject(left) || !isObject(right)) return false;
  const fields = Object.keys(left);
  return (
    fields.length === Object.keys(right).length &&
    fields.every((field) => without.has(field) || isEqual(left[field], right[field], without))
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Reports whether another read may succeed without an act of the user. */
function canRecover(error: Error | null): boolean {
  return !needsLogin(error) && !(error instanceof BerthError && error.code === "not_found");
}
