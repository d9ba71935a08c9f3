import { memo, type ReactNode } from "react";
import { useLeftFocus } from "./left-focus.ts";

export interface Column<Row> {
  readonly name: string;
  readonly isNumber?: boolean;
  cell(row: Row): ReactNode;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly className?: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  rowKey(row: Row): string;
}

/** A table, whose rows are cards on a narrow screen. */
export function Table<Row>({ caption, className, columns, rows, rowKey }: TableProps<Row>) {
  return (
    <table className={className}>
      <caption className="unseen">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ name, isNumber }) => (
            <th key={name} scope="col" className={isNumber ? "number" : undefined}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <TableRow key={rowKey(row)} row={row} columns={columns} />
        ))}
      </tbody>
    </table>
  );
}

/** Draws a row again only if it has changed: an update of 1,000 rows changes a few. */
const TableRow = memo(function Cells<Row>({ row, columns }: Pick<TableProps<Row>, "columns"> & { readonly row: Row }) {
  const ref = useLeftFocus<HTMLTableRowElement>();
  return (
    <tr ref={ref}>
      {columns.map(({ name, isNumber, cell }) => (
        <td key={name} data-label={name} className={isNumber ? "number" : undefined}>
          <div>{cell(row)}</div>
        </td>
      ))}
    </tr>
  );
}) as <Row>(props: Pick<TableProps<Row>, "columns"> & { readonly row: Row }) => ReactNode;
