import { Global, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import { Authority } from './authority.js';
import { BROKER, LoneBroker, type Broker } from './broker.js';
import { CatchUp } from './catch-up.js';
import { Channels } from './channels.js';
import { Commands } from './commands.js';
import { ConnectionDetails } from './connection-details.js';
import { Connections } from './connections.js';
import { Doorkeeper } from './doorkeeper.js';
import { Entrance } from './entrance.js';
import { Exchange } from './exchange.js';
import { Hub } from './hub.js';
import { Outbox } from './outbox.js';
import { PingGateway } from './ping.gateway.js';
import { PlainServer } from './plain-server.js';
import { Presence } from './presence.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import { Realtime } from './realtime.js';
import { Reception } from './reception.js';
import { RedisBroker } from './redis-broker.js';
import { RedisState } from './redis-state.js';
import { LocalState, SHARED_STATE, type SharedState } from './shared-state.js';
import { SocketServer } from './socket-server.js';
import { SocketIoServer } from './socketio-server.js';
import { Sources } from './sources.js';
import { Subscriptions } from './subscriptions.js';
import { Tickets } from './tickets.js';
import { Timings } from './timings.js';
import { ReadTurnstile } from './read-turnstile.js';
import { Typing } from './typing.js';
import { UpgradeAnswers } from './upgrade-answers.js';
import { WebsocketController } from './websocket.controller.js';

const broker = {
  provide: BROKER,
  inject: [CONFIG],
  useFactory: ({ redisUrl }: Config): Broker => (redisUrl ? new RedisBroker(redisUrl) : new LoneBroker()),
};

const state = {
  provide: SHARED_STATE,
  inject: [CONFIG, Timings],
  useFactory: ({ redisUrl, sockets }: Config, timings: Timings): SharedState =>
    redisUrl ? new RedisState(redisUrl, sockets, timings) : new LocalState(sockets),
};

const CORE = [Connections, Channels, CatchUp, Outbox, RealtimeMetrics, Sources, Subscriptions, Timings, ReadTurnstile];
const PEOPLE = [Presence, Typing, Reception, Exchange];
const SERVERS = [
  Authority,
  Commands,
  Doorkeeper,
  Entrance,
  PlainServer,
  SocketIoServer,
  SocketServer,
  Tickets,
  UpgradeAnswers,
];

/** The real-time channel. Imported without an HTTP server it publishes and serves nobody. */
@Global()
@Module({
  controllers: [WebsocketController],
  providers: [Hub, Realtime, broker, state, ...CORE, ...PEOPLE, ...SERVERS, ConnectionDetails, PingGateway],
  exports: [Hub, Realtime, Sources, Subscriptions, Presence, Typing, Timings, Commands, SocketServer, Channels],
})
export class RealtimeModule implements OnModuleInit {
  constructor(@Inject(SHARED_STATE) private readonly state: SharedState) {}

  onModuleInit(): Promise<void> {
    return this.state.start();
  }
}
