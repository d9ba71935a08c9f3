import type { Duplex } from "node:stream";
import { nameOfRun, parseRunName, type RunId } from "#kubernetes/names.ts";
import type { PagePlace } from "../ingress/page-connection.ts";
import type { PodUse } from "./attendance.ts";

/** Longer than the 5 minutes between two checks of use, so that one of them sees a request of a page. */
const PAGE_USE_MS = 360_000;

/**
 * Counts connections of pages as use of their run: while they are open, and `lingerMs` from the last one's end on. Those
 * of Jupyter do not count.
 */
export function pageUse(
  attend: (id: RunId) => PodUse,
  lingerMs = PAGE_USE_MS,
): (place: Pick<PagePlace, "run" | "isJupyter">, stream: Duplex) => Duplex {
  const lingering = new Map<string, NodeJS.Timeout>();
  const linger = (id: RunId) => {
    const name = nameOfRun(id);
    const timer = lingering.get(name);
    if (timer) return timer.refresh();
    const [use, token] = [attend(id), {}];
    use.add(token);
    const end = () => {
      lingering.delete(name);
      use.delete(token);
    };
    return lingering.set(name, setTimeout(end, lingerMs).unref());
  };
  return ({ run, isJupyter }, stream) => {
    if (isJupyter) return stream;
    const id = parseRunName(run);
    const use = attend(id);
    use.add(stream);
    return stream.once("close", () => {
      linger(id);
      use.delete(stream);
    });
  };
}
