import type { Tx } from '#libs/database';

/**
 * Rows that this session has read of these tables, of all when none is named. It may count what came before the
 * transaction: the difference of two calls in one transaction is what was read between them.
 */
export async function rowsRead(tx: Tx, ...tables: string[]): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::integer AS n FROM pg_stat_xact_user_tables
     WHERE cardinality($1::text[]) = 0 OR relname = ANY ($1)`,
    [tables],
  );
  return row!.n;
}
