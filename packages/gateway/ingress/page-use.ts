import type { Use } from "../ports/use.ts";
import type { ConnectPage } from "./page-connection.ts";

/** Longer than the 5 minutes between two checks of use, so that one of them sees a request of a page. */
const PAGE_USE_MS = 360_000;

/**
 * Counts connections of pages as use of their run: while they are open, and `lingerMs` from the last one's end on. Those
 * of Jupyter do not count.
 */
export function countedPages(connect: ConnectPage, getUse: (run: string) => Use, lingerMs = PAGE_USE_MS): ConnectPage {
  const lingering = new Map<string, NodeJS.Timeout>();
  const linger = (run: string) => {
    const timer = lingering.get(run);
    if (timer) return timer.refresh();
    const [use, token] = [getUse(run), {}];
    use.add(token);
    const end = () => {
      lingering.delete(run);
      use.delete(token);
    };
    return lingering.set(run, setTimeout(end, lingerMs).unref());
  };
  return async (place) => {
    const stream = await connect(place);
    if (place.isJupyter) return stream;
    const use = getUse(place.run);
    use.add(stream);
    // The proxy of a WebSocket already has as many as Node expects.
    stream.setMaxListeners(stream.getMaxListeners() + 1);
    return stream.once("close", () => {
      linger(place.run);
      use.delete(stream);
    });
  };
}
