import { DateOrInstant, Int, OneOf, Optional, Text } from './fields.js';

/** What every list takes: paging by number or by cursor, order and a date range. */
export class ListQueryDto {
  /** Page number, from 1. Ignored when a cursor is given. */
  @Optional()
  @Int(1, 1_000_000_000)
  page?: number = 1;

  /** Rows per page, 1–100. */
  @Optional()
  @Int(1, 100, { example: 20 })
  size?: number = 20;

  /** Direction of the sort. */
  @Optional()
  @OneOf(['asc', 'desc'])
  order?: 'asc' | 'desc' = 'desc';

  /** Continues a list after its last row: the `next_cursor` of the answer before. */
  @Optional()
  @Text(1, 2048, { example: 'eyJ2IjoxfQ' })
  cursor?: string;

  /** Only what was created at or after this date (whole UTC day) or instant. */
  @Optional()
  @DateOrInstant()
  start_date?: string;

  /** Only what was created at or before this date (whole UTC day, inclusive) or instant. */
  @Optional()
  @DateOrInstant()
  end_date?: string;

  /** Sort column; each list narrows it to its own closed set. */
  sort?: string;
}
