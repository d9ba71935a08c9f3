import { isIPv6 } from "node:net";
import type { Pod } from "../objects.ts";
import { MAIN } from "../runs/run-job.ts";

const longestWords = 300;
/** Limit of the input: hiding addresses takes quadratic time, and a registry controls its text. */
const longestRead = 2_000;

/** Returns a cluster's message as one line for users. Hides control characters, and addresses not in `userText`. */
export function describeMessage(message: string | undefined, userText = ""): string {
  const line = (message ?? "").replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  const words = withoutAddresses(line.slice(0, longestRead), userText);
  return words.length > longestWords ? `${words.slice(0, longestWords - 1)}…` : words || "the cluster gives no reason";
}

/** Returns what the user wrote of a pod: the image and the command. */
export function textOfUser({ spec }: Pick<Pod, "spec">): string {
  const { image = "", command = [], args = [] } = spec.containers?.find(({ name }) => name === MAIN) ?? {};
  return [image, ...command, ...args].join(" ");
}

/** Hides URLs, Service names and IPs. A URL of the user's registry becomes its host. */
function withoutAddresses(said: string, userText: string): string {
  const hide = (address: string) => (userText.includes(address) ? address : "…");
  return said
    .replaceAll(/\b(?:Get|Post|Put|Patch|Delete|Head) "https?:\/\/[^"]*":? ?/g, "")
    .replaceAll(/\bhttps?:\/\/([^\s"'/?#]*[^\s"'/?#:,;.)])(?:[/?#](?:[^\s"']*[^\s"':,;.)])?)?/g, (_, host) =>
      hide(host),
    )
    .replaceAll(/\b[\w-]+(?:\.[\w-]+)*\.svc(?:\.[\w-]+)*(?::\d+)?(?![\w-])/g, hide)
    .replaceAll(/\[[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?\](?::\d+)?/gi, hide)
    .replaceAll(/(?<![\w.:])[0-9a-f:]*:[0-9a-f:.]*[0-9a-f:](?!\w)/gi, (found) => hideIPv6(found, hide))
    .replaceAll(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, hide);
}

/** Go writes a colon after an address and before its reason: `dial udp fd00::a: no route to host`. */
function hideIPv6(found: string, hide: (address: string) => string): string {
  const address = isIPv6(found) ? found : found.replace(/:$/, "");
  return isIPv6(address) ? `${hide(address)}${found.slice(address.length)}` : found;
}
