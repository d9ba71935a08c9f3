import type { Job } from "../../sdk/jobs.ts";
import { useWebAddress } from "../data/address.ts";
import { jobWord, printable } from "../data/words.ts";
import { CommandLine } from "../parts/command-line.tsx";

/** How to get into an active job. */
export function WaysIn({ job }: { readonly job: Job }) {
  const word = jobWord(job);
  return (
    <section>
      <h2>Get in</h2>
      <div className="stack">
        <CommandLine words={`berth ssh ${word}`} />
        {job.ssh_command !== null && <CommandLine words={job.ssh_command} />}
        <CommandLine words={`berth code ${word}`} />
        <JupyterLink job={job} />
      </div>
    </section>
  );
}

function JupyterLink({ job }: { readonly job: Job }) {
  const address = useWebAddress(job.jupyter_url);
  if (job.jupyter_error !== null) return <p className="warning">Jupyter: {printable(job.jupyter_error, 500)}</p>;
  if (!job.jupyter_enabled || address === undefined) return null;
  return (
    <p>
      <a href={address.href} target="_blank" rel="noopener noreferrer">
        Jupyter
      </a>{" "}
      <span className="faint">
        at {printable(address.host, 260)}. The address holds a token: treat it like a password.
      </span>
    </p>
  );
}
