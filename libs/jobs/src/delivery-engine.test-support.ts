import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { newId } from '#libs/common';
import { readConfig } from '#libs/config';
import { Database } from '#libs/database';
import { Metrics } from '#libs/observability';
import { Deliveries } from './deliveries.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { DeliveryEngine, ENGINE_SETTINGS, type EngineSettings } from './delivery-engine.js';
import { DeliveryLog } from './delivery-log.js';
import type { AttemptOutcome, ClaimedDelivery, DeliveryHandler, NewDelivery, SettledDelivery } from './delivery.js';
import { InProcessJobEngine } from './in-process-job-engine.js';
import type { JobEngine } from './job-engine.js';

// Defects are part of what is tested.
Logger.overrideLogger(false);

/** A process that delivers, or only adds deliveries. */
export interface Worker {
  database: Database;
  deliveries: Deliveries;
  log: DeliveryLog;
  engine: DeliveryEngine;
  metrics: Metrics;
  stop(): Promise<void>;
}

/** What a worker is made of where it is not the usual. */
export interface WorkerParts {
  jobs?: boolean;
  jobEngine?: (database: Database) => JobEngine;
  repository?: (database: Database) => DeliveriesRepository;
  settings?: Partial<EngineSettings>;
}

/** Starts one with its own pool. */
export async function aWorker(url: string, handlers: DeliveryHandler[], parts: WorkerParts = {}): Promise<Worker> {
  const database = new Database(url, { onError: () => undefined });
  const repository = parts.repository?.(database) ?? new DeliveriesRepository(database);
  const deliveries = new Deliveries(repository);
  const config = readConfig({ JOBS: parts.jobs === false ? 'off' : 'on' });
  const jobEngine = parts.jobEngine?.(database) ?? new InProcessJobEngine(database);
  const metrics = new Metrics();
  const engine = new DeliveryEngine(repository, deliveries, jobEngine, config, database, metrics, {
    ...ENGINE_SETTINGS,
    ...parts.settings,
  });
  for (const handler of handlers) engine.register(handler);
  await engine.onApplicationBootstrap();
  const stop = async (): Promise<void> => {
    await engine.beforeApplicationShutdown();
    await database.close();
  };
  return { database, deliveries, log: new DeliveryLog(database), engine, metrics, stop };
}

/** A handler that notes what it is given. */
export interface RecordingHandler extends DeliveryHandler {
  attempts: ClaimedDelivery[];
  settledOnes: SettledDelivery[];
  /** Attempts running now, and the most there ever were, by lane. */
  running: Map<string, number>;
  most: Map<string, number>;
}

/** Makes one; `attempt` decides what an attempt comes to, `sent` when left out. */
export function aHandler(
  fields: Partial<DeliveryHandler> = {},
  attempt: (delivery: ClaimedDelivery, signal: AbortSignal) => Promise<AttemptOutcome> | AttemptOutcome = () => ({
    result: 'sent',
  }),
): RecordingHandler {
  const handler: RecordingHandler = {
    kind: 'test',
    policy: { scheduleSeconds: [0, 0, 0], jitter: 0 },
    laneConcurrency: 10,
    timeoutMs: 5_000,
    attempts: [],
    settledOnes: [],
    running: new Map(),
    most: new Map(),
    ...fields,
    attempt: async (delivery, signal) => {
      handler.attempts.push(delivery);
      const running = (handler.running.get(delivery.lane) ?? 0) + 1;
      handler.running.set(delivery.lane, running);
      handler.most.set(delivery.lane, Math.max(running, handler.most.get(delivery.lane) ?? 0));
      try {
        return await attempt(delivery, signal);
      } finally {
        handler.running.set(delivery.lane, handler.running.get(delivery.lane)! - 1);
      }
    },
    settled: async (tx, settled) => {
      await fields.settled?.(tx, settled);
      handler.settledOnes.push(...settled);
    },
  };
  return handler;
}

/** Registers a tenant; answers its id. */
export async function aClient(database: Database): Promise<string> {
  const id = newId();
  await database.query(`INSERT INTO clients (id, name, created_at, updated_at) VALUES ($1, 'c', now(), now())`, [id]);
  return id;
}

/** A delivery to be added. */
export function aDelivery(clientId: string, fields: Partial<NewDelivery> = {}): NewDelivery {
  const id = newId();
  return {
    id,
    clientId,
    kind: 'test',
    sourceId: randomUUID(),
    lane: 'lane',
    target: id,
    priority: 'normal',
    ...fields,
  };
}
