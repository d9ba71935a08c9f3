import type { EnvironmentSummary } from "../../sdk/berth.ts";
import { useWebAddress } from "../data/address.ts";
import { printable } from "../data/words.ts";
import { CommandLine } from "../parts/command-line.tsx";

interface EnvironmentProps {
  readonly environment: EnvironmentSummary;
}

/** The name of an environment of another API, and of that API. */
export function OtherName({ environment: { name, api } }: EnvironmentProps) {
  return (
    <>
      <bdi className="name">{printable(name, 128)}</bdi>
      <span className="why">made through {printable(api, 40)}</span>
    </>
  );
}

export function describeOther({ gpu_count, gpu_type }: EnvironmentSummary): string {
  return gpu_count === 0 ? printable(gpu_type, 40) : `${gpu_count} × ${printable(gpu_type, 40)}`;
}

/** The ways to an environment that only its own API changes. */
export function OtherLinks({ environment: { links, name } }: EnvironmentProps) {
  const page = useWebAddress(links.page);
  return (
    <span className="buttons">
      {page && (
        <a
          className="button"
          href={page.href}
          target="_blank"
          rel="noopener noreferrer"
          aria-label={`Page of ${printable(name, 80)}`}
        >
          Page
        </a>
      )}
      <CommandLine words={`berth api ${links.self}`} />
    </span>
  );
}
