import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { JobEstimate, SubmitJob } from "../../../sdk/jobs.ts";
import { berth } from "../../data/client.ts";
import { printable } from "../../data/words.ts";
import { announce } from "../../parts/announcer.tsx";
import { Until } from "../../parts/clock.tsx";

/** Asks again half a second after the last change of the form. */
export function Estimate({ body }: { readonly body: SubmitJob | undefined }) {
  const text = useSettled(JSON.stringify(body ?? null));
  const { data, error } = useQuery({
    queryKey: ["estimate", text],
    queryFn: ({ signal }) => berth.jobs.estimate(JSON.parse(text) as SubmitJob, { signal }),
    enabled: text !== "null",
    placeholderData: (before) => before,
    refetchInterval: 15_000,
  });
  if (error) return <p className="wrong">{printable(error.message, 500)}</p>;
  if (!data) return <p className="faint">Asking …</p>;
  return <EstimateText estimate={data} />;
}

function EstimateText({ estimate }: { readonly estimate: JobEstimate }) {
  const { estimated_start_time: start, reason, queue_position: place, gpu_hours } = estimate;
  // The times change each second, so they are in no live region.
  useEffect(() => announce(printable(reason, 600)), [reason]);
  return (
    <div>
      <p className="headline">
        <strong>{start === null ? "No time is known yet" : <StartText start={start} reason={reason} />}</strong>
        {place !== null && place > 1 && ` at place ${place}`}
      </p>
      {reason !== "Would start now" && <p className="why">{printable(reason, 600)}</p>}
      {gpu_hours > 0 && <p className="faint">{gpu_hours} GPU-hours if it runs to its end</p>}
      {estimate.alternatives.map(({ gpu_count, estimated_start_time }) => (
        <p key={gpu_count} className="faint">
          With {gpu_count} GPUs it would start{" "}
          {estimated_start_time === null ? (
            "earlier"
          ) : (
            <>
              in <Until time={estimated_start_time} />
            </>
          )}
        </p>
      ))}
    </div>
  );
}

function StartText({ start, reason }: { readonly start: string; readonly reason: string }) {
  if (reason === "Would start now") return <>Now</>;
  return (
    <>
      In about <Until time={start} />
    </>
  );
}

/** Returns the value once it has been the same for half a second. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), 500);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}
