import { Global, Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from 'pino';
import { ClientsModule } from '#libs/clients';
import { CONFIG, type Config } from '#libs/config';
import { DatabaseModule, type Database } from '#libs/database';
import { EgressModule } from '#libs/egress';
import { EventsModule } from '#libs/events';
import { JobsModule } from '#libs/jobs';
import { MessagesModule } from '#libs/messages';
import { EmailProvidersModule, NotificationsModule } from '#libs/notifications';
import { ObservabilityModule } from '#libs/observability';
import { RealtimeModule } from '#libs/realtime';
import { RoomsModule } from '#libs/rooms';
import { SecurityModule } from '#libs/security';
import { UsersModule } from '#libs/users';
import { WebhooksModule } from '#libs/webhooks';
import { HousekeepingProcessor } from './housekeeping.processor.js';
import { ResealSecretsProcessor } from './reseal-secrets.processor.js';

@Global()
@Module({})
class ConfigModule {
  static forConfig(config: Config): DynamicModule {
    return { module: ConfigModule, providers: [{ provide: CONFIG, useValue: config }], exports: [CONFIG] };
  }
}

/**
 * What every process is made of: platform first, then the features. A worker has the same modules as the API; without an
 * HTTP adapter their controllers are never reached.
 */
@Module({})
export class AppModule {
  static compose(config: Config, database: Database, logger: Logger): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forConfig(config),
        ObservabilityModule.forLogger(logger),
        DatabaseModule.forDatabase(database),
        SecurityModule,
        EgressModule,
        EventsModule,
        JobsModule.forConfig(config),
        RealtimeModule,
        ClientsModule,
        UsersModule,
        RoomsModule,
        MessagesModule,
        EmailProvidersModule,
        NotificationsModule,
        WebhooksModule,
      ],
      providers: [HousekeepingProcessor, ResealSecretsProcessor],
    };
  }
}
