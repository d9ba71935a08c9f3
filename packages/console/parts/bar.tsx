import { useId } from "react";
import { printable } from "../data/words.ts";

interface BarProps {
  readonly type: string;
  readonly total: number;
  readonly in_use: number;
  readonly available: number;
}

const width = 160;

/** A bar of held and free units. A hatch marks the units of machines that are away. */
export function Bar({ type, total, in_use, available }: BarProps) {
  const id = useId();
  if (total === 0) return <span className="faint">no machine</span>;
  const scale = width / total;
  const [held, free] = [in_use * scale, available * scale];
  const away = Math.max(0, total - in_use - available);
  const label = `${printable(type, 40)}: ${in_use} held, ${available} free of ${total}${away > 0 ? `, ${away} away` : ""}`;
  return (
    <svg className="chart" role="img" aria-label={label} viewBox={`0 0 ${width} 12`} width={width} height={12}>
      <pattern id={id} width={5} height={5} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect className="chart-hatch" width={2} height={5} />
      </pattern>
      <rect className="chart-away" x={0.5} y={0.5} width={width - 1} height={11} rx={3} fill={`url(#${id})`} />
      <rect className="chart-free" x={held} y={0} width={free} height={12} rx={3} />
      <rect className="chart-held" x={0} y={0} width={held} height={12} rx={3} />
    </svg>
  );
}
