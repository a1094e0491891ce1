import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Database } from '#libs/database';
import { anOwnDatabase } from '../../../test/support/own-database.js';
import { DeliveriesRepository, type AttemptRecord, type Claim, type ClaimRequest } from './deliveries.repository.js';
import { GUARANTEES, prove } from './delivery-engine-guarantees.test-support.js';
import type { WorkerParts } from './delivery-engine.test-support.js';
import type { JobEngine } from './job-engine.js';

class IgnoresLeases extends DeliveriesRepository {
  constructor(private readonly sql: Database) {
    super(sql);
  }

  override async claim(request: ClaimRequest): Promise<Claim> {
    await this.sql.query(`UPDATE deliveries SET stage = 'ready' WHERE stage = 'leased'`);
    return super.claim(request);
  }
}

class ForgetsToReschedule extends DeliveriesRepository {
  override record(...[tx, records]: Parameters<DeliveriesRepository['record']>): Promise<AttemptRecord[]> {
    return super.record(
      tx,
      records.map((r) => ({ ...r, nextInMs: r.nextInMs === null ? null : 86_400_000 })),
    );
  }
}

class RunsTwice extends DeliveriesRepository {
  override async claim(request: ClaimRequest): Promise<Claim> {
    const claim = await super.claim(request);
    return { ...claim, deliveries: claim.deliveries.flatMap((d) => [d, { ...d }]) };
  }
}

class SwallowsErrors extends DeliveriesRepository {
  override record(...[tx, records]: Parameters<DeliveriesRepository['record']>): Promise<AttemptRecord[]> {
    return super.record(
      tx,
      records.map((r) => ({ ...r, outcome: { result: 'sent' }, status: 'sent', nextInMs: null })),
    );
  }
}

class NeverTakesOver extends DeliveriesRepository {
  constructor(private readonly sql: Database) {
    super(sql);
  }

  override async claim(request: ClaimRequest): Promise<Claim> {
    await this.sql
      .query(`UPDATE deliveries SET next_attempt_at = next_attempt_at + interval '1 hour' WHERE stage = 'leased'
      AND next_attempt_at < now() + interval '1 hour'`);
    return super.claim(request);
  }
}

class BelievesTheLate extends DeliveriesRepository {
  override async record(...[tx, records]: Parameters<DeliveriesRepository['record']>): Promise<AttemptRecord[]> {
    const own = await super.record(tx, records);
    for (const { delivery, status } of records) {
      await tx.query('UPDATE deliveries SET status = $2 WHERE id = $1', [delivery.id, status]);
    }
    return own;
  }
}

class Deaf implements JobEngine {
  start = (): Promise<void> => Promise.resolve();
  announce = (): void => undefined;
  stop = (): Promise<void> => Promise.resolve();
}

const BROKEN: { name: string; caught: RegExp; parts: WorkerParts }[] = [
  { name: 'ignores leases', caught: /leaves what is leased/, parts: { repository: (db) => new IgnoresLeases(db) } },
  { name: 'forgets to reschedule', caught: /^tries again/, parts: { repository: (db) => new ForgetsToReschedule(db) } },
  { name: 'runs twice', caught: /each delivery once/, parts: { repository: (db) => new RunsTwice(db) } },
  { name: 'swallows errors', caught: /^tries again/, parts: { repository: (db) => new SwallowsErrors(db) } },
  { name: 'never takes over', caught: /process that died/, parts: { repository: (db) => new NeverTakesOver(db) } },
  {
    name: 'believes what is late',
    caught: /process that died/,
    parts: { repository: (db) => new BelievesTheLate(db) },
  },
  { name: 'hears no wake-up', caught: /^wakes/, parts: { jobEngine: () => new Deaf() } },
];

describe('The suite of the delivery engine', () => {
  for (const { name, caught, parts } of BROKEN) {
    it(`fails on an engine that ${name}`, async () => {
      const own = await anOwnDatabase();
      try {
        const [guarantee, ...more] = GUARANTEES.filter((one) => caught.test(one.name));
        assert.equal(more.length, 0);
        await assert.rejects(prove(guarantee!, { url: own.url, parts, patienceMs: 4_000 }), assert.AssertionError);
      } finally {
        await own.drop();
      }
    });
  }
});
