import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import { EgressGuard, EgressHttp } from './egress.js';
import { PinnedHttp } from './pinned-http.js';
import { ResolvingGuard } from './resolving-guard.js';

/** Provides guarded outgoing connections everywhere. */
@Global()
@Module({
  providers: [
    { provide: EgressGuard, inject: [CONFIG], useFactory: (config: Config) => new ResolvingGuard(config) },
    { provide: EgressHttp, inject: [EgressGuard], useFactory: (guard: ResolvingGuard) => new PinnedHttp(guard) },
  ],
  exports: [EgressGuard, EgressHttp],
})
export class EgressModule implements OnApplicationShutdown {
  constructor(@Inject(EgressHttp) private readonly http: PinnedHttp) {}

  /** Last of all: attempts that still ran have ended by then. */
  async onApplicationShutdown(): Promise<void> {
    await this.http.close();
  }
}
