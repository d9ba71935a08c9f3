interface BarProps {
  readonly label: string;
  readonly total: number;
  readonly in_use: number;
  readonly available: number;
}

const width = 160;

/** A bar of held and free units. A hatch marks the units that are neither. */
export function Bar({ label, total, in_use, available }: BarProps) {
  if (total === 0) return <span className="faint">no machine</span>;
  const scale = width / total;
  const [held, free] = [in_use * scale, available * scale];
  return (
    <svg className="chart" role="img" aria-label={label} viewBox={`0 0 ${width} 12`} width={width} height={12}>
      <rect className="chart-away" x={0} y={0} width={width} height={12} rx={3} />
      <rect className="chart-free" x={held} y={0} width={free} height={12} rx={3} />
      <rect className="chart-held" x={0} y={0} width={held} height={12} rx={3} />
    </svg>
  );
}
