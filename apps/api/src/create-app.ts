import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { DtoPipe, requestIdOf } from '#libs/common';
import { AppModule, operationsOf } from '#libs/composition';
import type { Config } from '#libs/config';
import type { Database } from '#libs/database';
import { Health, Metrics, NestLogger } from '#libs/observability';
import { Commands, SocketAdapter, SocketServer } from '#libs/realtime';
import { RateLimits, trustedProxies, type LimitFamily } from '#libs/security';
import { EventTypes } from '#libs/webhooks';
import { addDocsPages } from './docs-pages.js';
import { ErrorFilter, sendError } from './error.filter.js';
import { addExamplePage } from './example-page.js';
import {
  addAccessLog,
  addEnvelope,
  addHeaders,
  API_PREFIX,
  BODY_LIMIT,
  parseJsonOnly,
  refuseWhileStopping,
  refuseMalformed,
  writeHeaders,
} from './http-hooks.js';
import { buildDocument, routeFamilies } from './openapi-document.js';
import { HEADERS } from './openapi-headers.js';
import { eventTypesOf } from './openapi-webhooks.js';
import { addOperations } from './operations.js';

/** Opens the application's port. Nest's own `listen` also logs why it could not, beside who is thrown the reason. */
export async function listen(app: NestFastifyApplication, { port, host }: Config): Promise<void> {
  await app.init();
  await (app.getHttpAdapter().getInstance() as unknown as FastifyInstance).listen({ port, host });
}

/** Builds the whole HTTP application on a migrated database; used by main, the tests and the document dump. */
export async function createApp(config: Config, database: Database, logger: Logger): Promise<NestFastifyApplication> {
  const families = new Map<string, LimitFamily>();
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    trustProxy: config.trustProxy !== false && trustedProxies(config),
    genReqId: requestIdOf,
    requestIdHeader: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    skipMiddie: true,
    // A URL that cannot be decoded is answered before any hook runs.
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      writeHeaders(request, reply, app.get(RateLimits), families);
      sendError(logger, request, reply, error);
    },
    clientErrorHandler: refuseMalformed,
    // For the whole of a request, so that a byte now and then holds no connection for ever.
    requestTimeout: 60_000,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 500 },
  });
  const app: NestFastifyApplication = await NestFactory.create<NestFastifyApplication>(
    AppModule.compose(config, database, logger),
    adapter,
    {
      logger: new NestLogger(logger),
      bodyParser: false,
      abortOnError: false,
    },
  );
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  const health = app.get(Health);
  const metrics = app.get(Metrics);
  const limits = app.get(RateLimits);
  refuseWhileStopping(fastify, health, logger);
  parseJsonOnly(fastify);
  addEnvelope(fastify);
  addHeaders(fastify, limits, families, health);
  addAccessLog(fastify, logger, metrics);
  addOperations(fastify, operationsOf(app));
  app.setGlobalPrefix(API_PREFIX);
  app.useGlobalPipes(new DtoPipe());
  app.useGlobalFilters(new ErrorFilter(logger));
  app.useWebSocketAdapter(new SocketAdapter(fastify.server, app.get(SocketServer), app.get(Commands)));
  if (config.corsOrigins.length > 0) {
    app.enableCors({
      origin: [...config.corsOrigins],
      methods: ['GET', 'POST', 'PUT', 'DELETE'],
      exposedHeaders: Object.keys(HEADERS),
    });
  }
  // Relative to wherever the page was opened: Try it out works behind any host name and under the pages' own policy.
  const document = buildDocument(app, '/');
  for (const [route, family] of routeFamilies(app, document)) families.set(route, family);
  addDocsPages(app, document, config.publicUrl);
  app.get(EventTypes).publish(eventTypesOf(document));
  if (!config.production) addExamplePage(app);
  return app;
}
