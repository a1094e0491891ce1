import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { CONFIG, type Config } from '#libs/config';
import { KeyGuard, RateLimitGuard, ScopeGuard } from './guards.js';
import { KeyDirectory } from './key-directory.js';
import { RateLimits } from './rate-limits.js';
import { generatedKey, SecretBox } from './secret-box.js';
import { UnitOfWork } from './unit-of-work.js';

/** Guards in one order for every route: key, scopes, rate limit. */
@Global()
@Module({
  providers: [
    KeyDirectory,
    RateLimits,
    UnitOfWork,
    {
      provide: SecretBox,
      inject: [CONFIG],
      useFactory: (config: Config) =>
        new SecretBox(config.encryptionKeys.length > 0 ? config.encryptionKeys : [generatedKey(config.dataDir)]),
    },
    { provide: APP_GUARD, useClass: KeyGuard },
    { provide: APP_GUARD, useClass: ScopeGuard },
    { provide: APP_GUARD, useClass: RateLimitGuard },
  ],
  exports: [KeyDirectory, RateLimits, UnitOfWork, SecretBox],
})
export class SecurityModule {}
