import { useQuery } from "@tanstack/react-query";

/** The script of this page. Its name holds a hash of its content. */
const ownScript = new URL(document.querySelector<HTMLScriptElement>("script[type=module]")?.src ?? "", location.origin);

/** Offers a reload once the deployment has another console than this page. */
export function Newer() {
  const { data: isOld = false } = useQuery({
    queryKey: ["page"],
    queryFn: async ({ signal }) => {
      const answer = await fetch("/", { headers: { accept: "text/html" }, cache: "no-store", signal });
      return answer.ok && !(await answer.text()).includes(ownScript.pathname);
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
