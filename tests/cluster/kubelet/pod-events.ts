import type { KubeClient } from "../client.ts";
import { now } from "../container/container.ts";
import type { Pod } from "./pod.ts";

/**
 * Returns a function that writes events of pods like a kubelet, in the background. A repeated message increases the
 * count.
 */
export function eventTeller(client: KubeClient): (pod: Pod, reason: string, message: string) => void {
  const written = new Map<string, { readonly event: string; count: number }>();
  const write = async ({ metadata: { name, namespace = "", uid } }: Pod, reason: string, message: string) => {
    const said = `${uid} ${reason} ${message}`;
    const previous = written.get(said) ?? { event: `${name}.${written.size.toString(16)}`, count: 0 };
    written.set(said, previous);
    const { event } = previous;
    previous.count += 1;
    const { count } = previous;
    const events = `/api/v1/namespaces/${namespace}/events`;
    if (count > 1) return client.patch(`${events}/${event}`, { count, lastTimestamp: now() });
    return client.post(events, {
      metadata: { name: event },
      involvedObject: { apiVersion: "v1", kind: "Pod", name, namespace, uid },
      type: "Warning",
      source: { component: "kubelet" },
      reason,
      message,
      count,
      firstTimestamp: now(),
      lastTimestamp: now(),
    });
  };
  // Like a real kubelet, this drops events that it cannot write.
  return (pod, reason, message) => void write(pod, reason, message).catch(() => undefined);
}
