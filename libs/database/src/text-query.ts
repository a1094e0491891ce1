import type { Connection, Submittable } from 'pg';

/** A statement with its name and values. */
export interface NamedStatement {
  name: string;
  text: string;
  values: unknown[];
}

/** A row of a {@link TextQuery}: each value as PostgreSQL's own text. */
export type TextRow = (string | null)[];

type Callback = (error: Error | null, rows?: TextRow[]) => void;

/** What {@link TextQuery} uses of the driver's connection beyond its published types. */
interface Wire {
  stream: { cork(): void; uncork(): void };
  parsedStatements: Record<string, string | undefined>;
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: (string | null)[] }): void;
  execute(): void;
  sync(): void;
}

/**
 * A named statement whose rows are handed on as text. The driver's own query has PostgreSQL describe the columns of every
 * answer and builds parsers for them; whoever reads text knows its columns already.
 */
export class TextQuery implements Submittable {
  readonly name: string;
  readonly text: string;
  private readonly rows: TextRow[] = [];

  constructor(
    private readonly statement: NamedStatement,
    /** Public and no method: the driver puts its timeout around it. */
    public callback: Callback,
  ) {
    this.name = statement.name;
    this.text = statement.text;
  }

  submit(connection: Connection): null {
    const wire = connection as unknown as Wire;
    // One write for all messages.
    wire.stream.cork();
    try {
      if (wire.parsedStatements[this.name] === undefined) wire.parse({ name: this.name, text: this.text });
      wire.bind({ statement: this.name, values: this.statement.values.map(toText) });
      wire.execute();
      wire.sync();
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleDataRow({ fields }: { fields: TextRow }): void {
    this.rows.push(fields);
  }

  handleCommandComplete(): void {
    // The rows are complete when the connection is ready again.
  }

  handleReadyForQuery(): void {
    this.callback(null, this.rows);
  }

  handleError(error: Error): void {
    this.callback(error);
  }
}

/** A parameter as PostgreSQL reads it. */
function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return `{${value.map(toElement).join(',')}}`;
  return String(value as number | boolean);
}

function toElement(value: unknown): string {
  const text = toText(value);
  return text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`;
}
