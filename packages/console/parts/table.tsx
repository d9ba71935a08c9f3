import { memo, type ReactNode } from "react";
import { useLeftFocus } from "./left-focus.ts";
import { type RowGroup, useRowGroups } from "./row-groups.ts";

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
export function Table<Row>({ rows, ...shape }: TableProps<Row>) {
  return <Frame {...shape} groups={[{ id: 0, rows }]} />;
}

/** So many groups are laid out each by itself. */
const manyGroups = 3;

/** A table of rows of which the newest is first. It may have a thousand. */
export function LongTable<Row>({ rows, className = "", ...shape }: TableProps<Row>) {
  const groups = useRowGroups(rows, shape.rowKey);
  return <Frame {...shape} className={groups.length < manyGroups ? className : `${className} many`} groups={groups} />;
}

interface FrameProps<Row> extends Omit<TableProps<Row>, "rows"> {
  readonly groups: readonly RowGroup<Row>[];
}

function Frame<Row>({ caption, className, columns, groups, rowKey }: FrameProps<Row>) {
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
      {groups.map(({ id, rows }) => (
        <Group key={id} rows={rows} columns={columns} rowKey={rowKey} />
      ))}
    </table>
  );
}

type GroupProps<Row> = Pick<TableProps<Row>, "columns" | "rows" | "rowKey">;

/** Draws rows again only if one of them has changed. */
const Group = memo(
  function Rows<Row>({ columns, rows, rowKey }: GroupProps<Row>) {
    return (
      <tbody>
        {rows.map((row) => (
          <TableRow key={rowKey(row)} row={row} columns={columns} />
        ))}
      </tbody>
    );
  },
  (before, now) =>
    before.columns === now.columns &&
    before.rows.length === now.rows.length &&
    before.rows.every((row, index) => row === now.rows[index]),
) as <Row>(props: GroupProps<Row>) => ReactNode;

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
