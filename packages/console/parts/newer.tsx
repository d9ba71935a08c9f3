import { useQuery } from "@tanstack/react-query";

const assetElements = document.querySelectorAll<HTMLScriptElement | HTMLLinkElement>(
  "script[type=module], link[rel=stylesheet], link[rel=preload]",
);

/** Paths of the scripts and stylesheets of this page. Each holds a hash of its content. */
const ownAssets = Array.from(assetElements, (element) => {
  return new URL("src" in element ? element.src : element.href, location.origin).pathname;
});

/** How long a read of the page may take. */
const mostMs = 60_000;

/** Offers a reload once the deployment's page names other scripts or stylesheets than this page. */
export function Newer() {
  const { data: isOld = false } = useQuery({
    queryKey: ["page"],
    queryFn: async ({ signal }) => {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(mostMs)]);
      const answer = await fetch("/", { headers: { accept: "text/html" }, cache: "no-store", signal: limited });
      if (!answer.ok) return false;
      const page = await answer.text();
      return !ownAssets.every((path) => page.includes(path));
    },
    refetchInterval: 5 * 60_000,
    staleTime: 60_000,
  });
  if (!isOld) return null;
  return (
    <p className="newer" role="status">
      Berth was updated.{" "}
      <button type="button" onClick={() => location.reload()}>
        Reload this page
      </button>
    </p>
  );
}
