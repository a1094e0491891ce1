import { Injectable } from '@nestjs/common';
import { Database } from '#libs/database';

/**
 * Attempts that begin within this share one look at their endpoint: no more than a post may be on its way when a change
 * is committed anyway. In the process that made the change it is seen at once.
 */
const SHARED_MS = 5;
const MAX_KEPT = 10_000;

/** An endpoint as an attempt finds it. */
export interface EndpointState {
  client_id: string;
  id: string;
  is_active: boolean;
  url: string;
  /** Sealed. */
  secret: Buffer;
  /** Sealed; null unless it still signs. */
  previous_secret: Buffer | null;
  custom_headers: Record<string, string>;
}

/** Looks at endpoints for attempts: those asked for in one tick share a statement. */
@Injectable()
export class EndpointStates {
  private readonly known = new Map<string, { until: number; state: Promise<EndpointState | undefined> }>();
  private asked: { clientId: string; id: string }[] = [];
  private answer: Promise<Map<string, EndpointState>> | undefined;

  constructor(private readonly database: Database) {}

  /** The endpoint; undefined: it was deleted. */
  of(clientId: string, id: string): Promise<EndpointState | undefined> {
    const key = `${clientId} ${id}`;
    const known = this.known.get(key);
    if (known && performance.now() < known.until) return known.state;
    this.asked.push({ clientId, id });
    this.answer ??= Promise.resolve().then(() => this.read());
    const state = this.answer.then((rows) => rows.get(key));
    if (this.known.size >= MAX_KEPT) this.known.clear();
    this.known.set(key, { until: performance.now() + SHARED_MS, state });
    return state;
  }

  /** It was changed: what was seen of it before is not used any more. */
  forget(clientId: string, id: string): void {
    this.known.delete(`${clientId} ${id}`);
  }

  private async read(): Promise<Map<string, EndpointState>> {
    const { asked } = this;
    this.asked = [];
    this.answer = undefined;
    const rows = await this.database.prepared<EndpointState>(
      'webhook-states',
      `SELECT w.client_id, w.id, w.is_active, w.url, w.secret, w.custom_headers,
         CASE WHEN w.previous_secret_until > now() THEN w.previous_secret END AS previous_secret
       FROM unnest($1::uuid[], $2::uuid[]) AS x (client_id, id)
       JOIN webhook_endpoints w ON w.client_id = x.client_id AND w.id = x.id`,
      [asked.map((one) => one.clientId), asked.map((one) => one.id)],
    );
    return new Map(rows.map((row) => [`${row.client_id} ${row.id}`, row]));
  }
}
